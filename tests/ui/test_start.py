"""`python app.py` as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client

from rrg.data.studies import study_of_files
from rrg.feedback import FeedbackStore
from rrg.feedback.urls import sqlite_url

pytestmark = pytest.mark.slow
CHECKOUT = Path(__file__).resolve().parents[2]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def _started(
    home: Path, *arguments: str, port: int | None = None, **environ: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the app and wait until it answers or ends."""
    port = port or _free_port()
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("RRG_", "DATABASE_", "GRADIO_"))
    }
    process = subprocess.Popen(
        [sys.executable, "app.py", *arguments],
        cwd=CHECKOUT,
        env=inherited | {"RRG_HOME": str(home), "PORT": str(port), "HOST": "127.0.0.1"} | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        while process.poll() is None:
            try:
                if httpx.get(url, trust_env=False, timeout=None).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield process, url
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def test_a_saved_correction_survives_a_killed_server(
    tmp_path: Path, fake_library: Any, radiograph_file: Callable[..., Path], connect: Callable[[str], Client]
) -> None:
    report = fake_library.reporter("plain").report(study_of_files(radiograph_file(0), None))
    left = tmp_path / "uploads" / "hash" / "SMITH.dcm"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"pixels")
    os.utime(left, (0, 0))
    with FeedbackStore(sqlite_url(tmp_path / "rrg.sqlite3")) as store:
        store.save_report(report)
        with _started(tmp_path) as (_, url):
            saved = connect(url).predict(report.report_id, "Cardiomegaly.", "Dr A", api_name="/save_correction")
        (stored,) = store.corrections(report.report_id)
    assert stored.correction_id == saved["correction_id"]
    assert not left.exists()


def test_torch_is_loaded_after_the_page_is_up(tmp_path: Path) -> None:
    if not (CHECKOUT / "weights" / "r2gen_cmn" / "config.json").is_file():
        pytest.skip("needs weights/, because without a model there is nothing to load")
    if not Path("/proc/self/maps").exists():
        pytest.skip("needs /proc, to see which libraries another process has loaded")
    with _started(tmp_path) as (process, url):
        maps = Path(f"/proc/{process.pid}/maps")
        assert httpx.get(url, trust_env=False, timeout=None).status_code == 200
        while "libtorch_cpu" not in maps.read_text():
            assert process.poll() is None
            time.sleep(0.2)


def test_a_missing_data_folder_ends_the_start_with_a_message(tmp_path: Path) -> None:
    with _started(tmp_path / "home", "--data", str(tmp_path / "nowhere")) as (process, _):
        output, _ = process.communicate()
    assert process.returncode == 1
    assert "annotation.json" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_upload_is_left(tmp_path: Path, number: signal.Signals) -> None:
    """At the end; after a kill at the next start."""
    uploads = tmp_path / "uploads"

    def files() -> list[Path]:
        return [path for path in uploads.rglob("*") if path.is_file() and not path.name.endswith(".lock")]

    with _started(tmp_path) as (process, url):
        sent = {"files": ("SMITH_JOHN.png", b"pixels")}
        assert httpx.post(f"{url}gradio_api/upload", files=sent, trust_env=False, timeout=None).status_code == 200
        (written,) = files()
        assert "SMITH" not in str(written)
        process.send_signal(number)
        process.wait(60)
        if number == signal.SIGKILL:
            assert files() == [written]
            with _started(tmp_path):
                assert files() == []
        else:
            assert process.returncode == 0
            assert process.stdout and "Traceback" not in process.stdout.read()
    if number != signal.SIGKILL:
        assert files() == []


def test_a_busy_port_ends_the_start_with_a_message(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        command = [sys.executable, "app.py"]
        environ = os.environ | {"RRG_HOME": str(tmp_path), "PORT": str(other.getsockname()[1]), "HOST": "127.0.0.1"}
        answer = subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True)
    assert answer.returncode == 1
    assert "is in use" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_proxy_of_the_environment_is_not_asked_for_the_own_page(tmp_path: Path) -> None:
    with _started(tmp_path, HTTP_PROXY="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9") as (process, url):
        assert process.poll() is None
        assert httpx.get(url, trust_env=False, timeout=None).status_code == 200
