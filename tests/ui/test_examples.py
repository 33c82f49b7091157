"""Examples: downloaded from the pinned address with the pinned hash, or generated without a network."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rrg.data.phantom import make_phantom
from rrg.errors import InputError
from rrg.ui import examples
from rrg.ui.examples import PUBLIC, SOURCE, SYNTHETIC, PublicExample, SyntheticExample, cached_example, open_example


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[PublicExample, str, Path]]:
    """An example, the address of a server that has it, and the server's folder."""
    monkeypatch.setattr(examples, "TIMEOUT", 250.0)  # for a slow machine; the tests below never reach it
    folder = tmp_path / "published"
    folder.mkdir()
    example = PUBLIC[0]
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / f"{example.name}.png")
    digest = hashlib.sha256((folder / f"{example.name}.png").read_bytes()).hexdigest()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield replace(example, sha256=digest), f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


def test_an_example_is_downloaded_once(published: tuple[PublicExample, str, Path], tmp_path: Path) -> None:
    example, source, folder = published
    cache = tmp_path / "cache"
    (downloaded,) = open_example(example, cache, source).radiographs()
    (folder / f"{example.name}.png").unlink()
    (again,) = open_example(example, cache, source).radiographs()
    assert downloaded.sha256 == again.sha256
    assert downloaded.view == "frontal"


def test_a_download_with_another_hash_is_rejected(published: tuple[PublicExample, str, Path], tmp_path: Path) -> None:
    example, source, _ = published
    with pytest.raises(InputError, match="sha256"):
        open_example(replace(example, sha256="0" * 64), tmp_path / "cache", source)
    assert not any(path.is_file() for path in (tmp_path / "cache").rglob("*"))


@pytest.mark.parametrize("source", ["http://127.0.0.1:9", "{served}/elsewhere"])
def test_a_failed_download_suggests_a_synthetic_example(
    published: tuple[PublicExample, str, Path], tmp_path: Path, source: str
) -> None:
    example, served, _ = published
    with pytest.raises(InputError, match="Choose a synthetic example"):
        open_example(example, tmp_path / "cache", source.format(served=served))
    assert cached_example(PUBLIC[0].id, tmp_path / "cache") is None


def test_synthetic_examples_need_no_network(tmp_path: Path) -> None:
    study = open_example(SYNTHETIC[0], tmp_path)
    assert [radiograph.view for radiograph in study.radiographs()] == ["frontal", "lateral"]
    again = cached_example(SYNTHETIC[0].id, tmp_path)
    assert again is not None
    assert again.radiographs()[0].sha256 == study.radiographs()[0].sha256


@pytest.mark.parametrize("example", SYNTHETIC)
def test_the_label_of_a_synthetic_example_names_its_findings(example: SyntheticExample) -> None:
    assert example.label == "Synthetic · " + ", ".join(sorted(make_phantom(example.seed, 64).findings)).lower()


def test_the_pinned_examples_are_those_of_the_manifest(shared_data: Path) -> None:
    manifest = {entry["file"]: entry for entry in json.loads((shared_data / "nih_sample/manifest.json").read_text())}
    assert len(PUBLIC) == 6
    for example in PUBLIC:
        entry = manifest[f"{example.name}.png"]
        assert example.sha256 == entry["sha256"]
        assert example.projection == entry["view"]
        place = f"{entry['repository']}/{entry['commit']}/{entry['path']}"
        assert f"{SOURCE}/{example.name}.png" == f"https://raw.githubusercontent.com/{place}"
