"""Check that the repository as it is works as a Hugging Face Space: `make space-check`.

Sizes of the files, front matter and bounds of the dependencies are checked. Then the files of the repository are copied
into an empty folder and the app is started there with an empty home and, where the system allows it, without any
network. The page and a report have to come.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import yaml
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).resolve().parents[1]
LARGEST = 10_000_000
"""Bytes of a file that a Space accepts without Git LFS."""
TOTAL = 1_000_000_000
"""Bytes that a free Space accepts without Git LFS."""
PORT = "7869"
SECONDS = 120
"""Time after which a start that does not answer has failed."""
INSIDE = "--inside"


def tracked_files() -> list[Path]:
    """Return the files that a push would send, relative to the repository."""
    listing = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True, cwd=CHECKOUT).stdout
    return [Path(name) for name in listing.decode().split("\0") if name and (CHECKOUT / name).is_file()]


def check_files(files: list[Path]) -> list[str]:
    """Return what is wrong with the sizes of the files."""
    sizes = {file: (CHECKOUT / file).stat().st_size for file in files}
    faults = [
        f"{file} has {size / 1e6:.1f} MB, more than a Space accepts" for file, size in sizes.items() if size > LARGEST
    ]
    if sum(sizes.values()) > TOTAL:
        faults.append(f"the repository has {sum(sizes.values()) / 1e6:.0f} MB")
    return faults


def check_metadata() -> list[str]:
    """Return what is wrong with the front matter of README.md and with requirements.txt."""
    parts = (CHECKOUT / "README.md").read_text(encoding="utf-8").split("---")
    front: dict[str, object] = yaml.safe_load(parts[1]) if len(parts) > 2 else {}
    faults = [f"README.md has no {name}" for name in ("title", "sdk", "sdk_version", "app_file") if not front.get(name)]
    lines = (CHECKOUT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(text) for line in lines if (text := line.split("#")[0].strip())]
    for requirement in requirements:
        if {bound.operator for bound in requirement.specifier} < {">=", "<"}:
            faults.append(f"{requirement.name} has no lower and upper bound in requirements.txt")
        if requirement.name == "gradio" and str(front.get("sdk_version")) not in requirement.specifier:
            faults.append(f"sdk_version {front.get('sdk_version')} is outside of {requirement}")
    return faults


def start_copy(files: list[Path]) -> float:
    """Start a copy of the files with an empty home, have a report written, and return the seconds to the first page.

    Raises SystemExit with the output of the app when it does not answer.
    """
    with TemporaryDirectory() as folder:
        space, home = Path(folder) / "space", Path(folder) / "home"
        home.mkdir()
        for file in files:
            (space / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / file, space / file)
        environment = {
            "PATH": os.defpath,
            "HOME": str(home),
            "RRG_HOME": str(home / "rrg"),
            "PORT": PORT,
            "SPACE_ID": "someone/rrg",
            "SPACE_HOST": "someone-rrg.hf.space",
        }
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "app.py"], cwd=space, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            seconds = _first_page(process, log)
            _report(space)
        finally:
            process.terminate()
            process.wait(30)
        return seconds


def _first_page(process: subprocess.Popen[bytes], log: Path) -> float:
    started = time.monotonic()
    while time.monotonic() - started < SECONDS:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"http://127.0.0.1:{PORT}/", trust_env=False, timeout=20).status_code == 200:
                return time.monotonic() - started
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit(f"The app does not answer:\n{log.read_text(errors='replace')[-3000:]}")


def _report(space: Path) -> None:
    """Have a report written on a synthetic image; `rrg` of the copy is imported, not of the checkout."""
    code = (
        "import sys, tempfile, pathlib; from PIL import Image; from gradio_client import Client, handle_file; "
        "from rrg.data.phantom import make_phantom; "
        "file = pathlib.Path(tempfile.mkdtemp()) / 'a.png'; "
        "image = make_phantom(0, size=256).study.radiographs()[0].pixels; "
        "Image.fromarray((image * 255).astype('uint8')).save(file); "
        f"client = Client('http://127.0.0.1:{PORT}/', verbose=False, httpx_kwargs={{'timeout': None}}); "
        "print(client.predict(handle_file(str(file)), None, 'lgfm_net', api_name='/report'))"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=space, capture_output=True, text=True)
    if answer.returncode or "lgfm_net" not in answer.stdout:
        raise SystemExit(f"No report was written:\n{answer.stdout[-500:]}{answer.stderr[-3000:]}")


def _without_network() -> list[str]:
    """Return the command that runs another one with the loopback network alone; empty where that is not possible."""
    command = ["unshare", "--net", "--map-root-user", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    try:
        works = subprocess.run([*command, "true"], capture_output=True).returncode == 0
    except OSError:
        works = False
    return command if works else []


def main() -> None:
    """Run all checks; exit with the faults."""
    files = tracked_files()
    if sys.argv[1:] != [INSIDE]:
        faults = check_files(files) + check_metadata()
        if faults:
            raise SystemExit("\n".join(faults))
        isolated = _without_network()
        if isolated:
            raise SystemExit(subprocess.run([*isolated, sys.executable, __file__, INSIDE]).returncode)
        print("The network cannot be switched off here: the app is started with it.")
    size = sum((CHECKOUT / file).stat().st_size for file in files)
    seconds = start_copy(files)
    print(f"{len(files)} files, {size / 1e6:.0f} MB; first page after {seconds:.1f} s, and a report was written.")


if __name__ == "__main__":
    main()
