"""The auto classes and pipelines of transformers load all architectures and write the reports of the reporter."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    GenerationConfig,
    pipeline,
)

import rrg
from rrg.data.phantom import make_phantom
from rrg.data.studies import study_of_files
from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.ngrams import NgramFrequencies
from rrg.inference.processing import ReportImageProcessor, ReportProcessor
from rrg.models import ARCHITECTURES
from rrg.models.base import ReportConfig


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    rrg.register()
    rrg.register()  # a second call changes nothing


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("images")
    paths = [str(folder / f"{i}.png") for i in range(2)]
    for path, radiograph in zip(paths, make_phantom(3, size=96).study.radiographs(), strict=True):
        Image.fromarray((radiograph.pixels * 255).round().astype("uint8")).save(path)
    return paths


@pytest.fixture
def with_mbr(tiny_shared: Callable[[str], Path]) -> Path:
    """A tiny R2GenCMN that shares its image encoder and decodes by MBR with CIDEr."""
    folder = tiny_shared("mbr")
    settings = json.loads((folder / "generation_config.json").read_text())
    consensus = {"samples": 6, "temperature": 1.0, "cider_weight": 0.5, "findings_weight": 0.05}
    (folder / "generation_config.json").write_text(json.dumps({**settings, "consensus": consensus}))
    reports = [make_phantom(seed, size=64).study.report or "" for seed in range(8)]
    NgramFrequencies.of(report.split() for report in reports).save_pretrained(folder)
    return folder


def written(folder: Path | str, images: list[str], **settings: Any) -> str:
    """The report by `generate`."""
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    return processor.batch_decode(model.generate(**processor(images=images), **settings))[0]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_generate_writes_the_report_of_the_reporter(
    name: str, tiny_folder: Callable[[str], Path], images: list[str], tmp_path: Path
) -> None:
    folder = tiny_folder(name)
    expected = rrg.Reporter.from_pretrained(folder, device="cpu").report(study_of_files(*images)).text
    assert expected
    assert written(folder, images) == expected
    model = AutoModel.from_pretrained(folder)
    assert model.dtype == torch.float32
    model.save_pretrained(tmp_path / "saved")
    assert written(tmp_path / "saved", images) == expected


def test_mbr_decoding_has_the_samples_of_the_reporter(with_mbr: Path, images: list[str], tmp_path: Path) -> None:
    expected = [
        rrg.Reporter.from_pretrained(with_mbr, device="cpu").report(study_of_files(*given)).text
        for given in (images, images[:1], images[::-1])
    ]
    assert len(set(expected)) > 1
    model, processor = AutoModel.from_pretrained(with_mbr).eval(), AutoProcessor.from_pretrained(with_mbr)
    together = processor(images=[images, images[:1], images[::-1]])
    assert processor.batch_decode(model.generate(**together)) == expected
    assert written(with_mbr, images, num_beams=3) != expected[0], "settings in the call select a search"
    model.save_pretrained(tmp_path / "saved")
    shutil.rmtree(with_mbr.parent)
    assert written(tmp_path / "saved", images) == expected[0], "with encoder, tokenizer and n-grams"


def test_a_search_of_the_library_is_served_too(tiny_weights: Path, images: list[str]) -> None:
    folder = tiny_weights / "r2gen_cmn"
    model, processor = AutoModel.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)
    inputs = processor(images=images)
    several = model.generate(**inputs, num_beams=3, num_return_sequences=3)
    assert len(several) == 3
    assert processor.decode(several[0]) == written(folder, images)
    short = model.generate(
        **inputs, generation_config=GenerationConfig(**{**model.generation_config.to_dict(), "max_length": 6})
    )
    assert short.shape[1] <= 6
    torch.manual_seed(0)
    assert model.generate(**inputs, do_sample=True, num_beams=1).shape[0] == 1


def test_a_pipeline_writes_the_report(tiny_weights: Path, images: list[str]) -> None:
    folder = tiny_weights / "r2gen_cmn"
    pipe = pipeline("image-text-to-text", model=str(folder), device="cpu")
    pictures = [Image.open(path) for path in images]
    expected = written(folder, images)
    assert pipe(images=pictures, text="")[0]["generated_text"] == expected
    assert pipe(images=images, text="")[0]["generated_text"] == expected


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_bundled_folders_are_known(name: str, weights: Path) -> None:
    folder = weights / name
    config = AutoConfig.from_pretrained(folder)
    assert isinstance(config, ReportConfig) and config.model_type == name
    assert isinstance(AutoTokenizer.from_pretrained(folder), ReportTokenizer)
    images = AutoImageProcessor.from_pretrained(folder)
    assert isinstance(images, ReportImageProcessor)
    assert images.to_dict() == ReportImageProcessor.of_config(config).to_dict()
    assert isinstance(AutoProcessor.from_pretrained(folder), ReportProcessor)


def test_importing_the_package_imports_neither_torch_nor_transformers() -> None:
    code = "import sys, rrg; rrg.register; print('torch' in sys.modules or 'transformers' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "False"
