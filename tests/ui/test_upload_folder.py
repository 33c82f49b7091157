"""The folder of uploads: what dead processes left is deleted, what a running one has is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rrg.errors import InputError
from rrg.ui.upload_folder import UploadFolder, delete_old_uploads

HOLD = """
import sys
from pathlib import Path
from rrg.ui.upload_folder import UploadFolder
folder = UploadFolder(Path(sys.argv[1]))
(folder.path / "pixels").write_bytes(b"pixels")
print(folder.path, flush=True)
sys.stdin.read()
"""


def _hold(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    """Another process with a folder and a file in it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_process_left_is_deleted_at_once(tmp_path: Path) -> None:
    process, left = _hold(tmp_path)
    assert (left / "pixels").exists()
    process.kill()
    process.communicate()
    assert (left / "pixels").exists()
    own = UploadFolder(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [own.path.name]
    own.close()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_what_a_running_process_has_stays(tmp_path: Path) -> None:
    process, other = _hold(tmp_path)
    own = UploadFolder(tmp_path)
    assert own.path != other
    own.close()
    own.close()
    assert (other / "pixels").exists()
    process.kill()
    process.communicate()


def test_the_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    own = UploadFolder(tmp_path)
    assert own.path.stat().st_mode & 0o077 == 0
    own.close()


def test_old_files_of_earlier_versions_are_deleted(tmp_path: Path) -> None:
    old, new = tmp_path / "a" / "SMITH.dcm", tmp_path / "b" / "fresh.dcm"
    for path in (old, new):
        path.parent.mkdir()
        path.write_bytes(b"pixels")
    os.utime(old, (time.time() - 3600,) * 2)
    UploadFolder(tmp_path).close()
    assert [old.exists(), new.exists()] == [False, True]
    os.utime(new, (time.time() - 3600,) * 2)
    delete_old_uploads(tmp_path)
    assert not new.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "uploads").write_text("a file")
    with pytest.raises(InputError, match="RRG_HOME"):
        UploadFolder(tmp_path / "uploads")
