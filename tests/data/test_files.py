"""Files that appear complete or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from rrg.data.files import replaced, write_bytes, write_text


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_appears_whole_in_a_folder_that_was_missing(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "new" / "file.npz"
    with replaced(path, durable=durable) as temporary:
        temporary.write_bytes(b"whole")
        assert temporary.suffix == path.suffix, "writers that choose a format by the suffix need it"
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with pytest.raises(RuntimeError), replaced(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "Größe")
    assert (tmp_path / "file").read_bytes() == "Größe".encode()
