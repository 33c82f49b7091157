"""Atomic writing of files and folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrg.data.files import is_leftover, replaced, write_bytes, write_text


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_written_atomically_to_a_new_folder(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "new" / "file.npz"
    with replaced(path, durable=durable) as temporary:
        temporary.write_bytes(b"whole")
        assert temporary.suffix == path.suffix, "some writers choose the format by the suffix"
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with pytest.raises(RuntimeError), replaced(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_written_atomically(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    with pytest.raises(RuntimeError), replaced(folder) as temporary:
        (temporary / "inner").mkdir(parents=True)
        raise RuntimeError
    assert list(folder.parent.iterdir()) == []
    folder.mkdir()  # an empty folder may be replaced
    with replaced(folder) as temporary:
        (temporary / "inner").mkdir(parents=True)
    assert [path.name for path in folder.iterdir()] == ["inner"]
    assert list(folder.parent.iterdir()) == [folder]


def test_text_is_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "Größe")
    assert (tmp_path / "file").read_bytes() == "Größe".encode()


@pytest.mark.parametrize(
    ("name", "leftover"),
    [
        ("._1.xml", True),
        (".DS_Store", True),
        ("Thumbs.db", True),
        ("thumbs.DB", True),
        ("desktop.ini", True),
        ("1.xml", False),
        ("_1.xml", False),
        (".hidden", False),
        ("DS_Store", False),
    ],
)
def test_leftovers_of_operating_systems_are_known_by_name(name: str, leftover: bool) -> None:
    assert is_leftover(Path("folder") / name) == leftover
