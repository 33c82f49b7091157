"""Building of the app: what it must not import before its page is up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
LATE = ("torch", "transformers", "scipy", "sklearn", "timm", "matplotlib", "cv2", "pydicom")
"""Packages that take long to import and that only reading images and running models need."""
BUILD = """
import sys
from pathlib import Path
from rrg.feedback import FeedbackStore
from rrg.feedback.urls import sqlite_url
from rrg.inference.library import ModelLibrary
from rrg.ui.app import create_app, launch_options
from rrg.ui.service import Service
from rrg.ui.settings import Settings

home = Path(sys.argv[1])
settings = Settings(home, "127.0.0.1", 7860, sqlite_url(home / "db.sqlite3"), Path("weights"), None)
service = Service(settings, ModelLibrary(settings.weights), FeedbackStore(settings.database_url))
create_app(service)
launch_options(settings, service)
print(*sorted(sys.modules))
"""


@pytest.mark.slow
def test_the_page_is_built_without_torch_and_what_else_starts_slowly(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUILD, str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT)
    assert answer.returncode == 0, answer.stderr
    imported = {name.split(".")[0] for name in answer.stdout.split()}
    assert "gradio" in imported
    assert imported & set(LATE) == set()
