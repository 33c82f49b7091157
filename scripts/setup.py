"""Set-up behind the Makefile: `.venv` with the dependencies, and a browser for the journeys of the test suite.

Standard library only, since it runs before anything is installed:
`python scripts/setup.py app` for the app, `dev` for the tools and tests as well, `browser` for a Chromium.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from browser import SYSTEM_BROWSERS, launch_chromium

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "install.log"


def create_environment() -> None:
    """Make `.venv`, unless a working one exists."""
    if PYTHON.exists() and subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        return
    print(f"Making .venv with Python {sys.version.split()[0]}", flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], capture_output=True, text=True)
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        raise SystemExit(
            f"{made.stdout}{made.stderr}\nThis Python cannot make a virtual environment. Install its venv module "
            "(Debian, Ubuntu: apt install python3-venv) or name another: make PYTHON=/path/to/python3.12"
        )


def install(extras: str) -> None:
    """Install the project and its dependencies; show progress on one line, and write all output to a log."""
    print("Installing the dependencies (once; on Linux about 5 GB, most of it PyTorch)", flush=True)
    command = [PYTHON, "-m", "pip", "install", "--progress-bar", "off", "--editable", f"{ROOT}{extras}"]
    started = shown = time.monotonic()
    # A terminal gets one line that is rewritten every second; a log file gets a line now and then.
    terminal = sys.stdout.isatty()
    with LOG.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT) as pip:
        while pip.poll() is None:
            time.sleep(0.5)
            now = time.monotonic()
            if now - shown > (1 if terminal else 20):
                shown = now
                lines = LOG.read_text(errors="replace").split("\n")
                doing = next((line.split(":")[0].strip() for line in reversed(lines) if line.strip()), "")[:80]
                print(f"{now - started:5.0f} s  {doing:<80}", end="\r" if terminal else "\n", flush=True)
    if pip.returncode:
        tail = "\n".join(LOG.read_text(errors="replace").splitlines()[-15:])
        raise SystemExit(
            f"\n{tail}\n\nThe installation failed; all of its output is in {LOG}. Run the same again to go on."
        )
    print(f"Installed in {time.monotonic() - started:.0f} s{'':<80}", flush=True)


def browser_starts() -> bool:
    """Whether a Chromium of the system, or else Playwright's own, opens a page."""
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            launch_chromium(playwright.chromium).close()
        except Error:
            return False
    return True


def install_browser() -> None:
    """Find or install a Chromium; without one the journeys through the app are skipped."""
    if browser_starts():
        return
    attempts = [[[sys.executable, "-m", "playwright", "install", "chromium"]]]
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        apt = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]
        attempts += [[["apt-get", "update", "--quiet"], [*apt, package]] for package in SYSTEM_BROWSERS[:2]]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for commands in attempts:
        print(f"Installing a browser for the tests: {' '.join(commands[-1])}", flush=True)
        for command in commands:
            try:
                subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=600, env=environment)
            except subprocess.TimeoutExpired:
                break
        if browser_starts():
            return
    print("No Chromium could be installed: the tests that need a browser will be skipped.", flush=True)


def main() -> None:
    """Do the step that the command line names."""
    step = sys.argv[1] if len(sys.argv) == 2 else ""
    if step == "browser":
        install_browser()
    elif step in ("app", "dev"):
        create_environment()
        install("[dev]" if step == "dev" else "")
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
