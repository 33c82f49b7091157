"""Example studies: public radiographs, downloaded on demand, and synthetic ones that need no network."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from rrg.data.phantom import make_phantom
from rrg.data.studies import ImageFile, Study
from rrg.errors import InputError

ATTRIBUTION = (
    "Radiographs: NIH Clinical Center, ChestX-ray14 "
    "(Wang et al., “ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks”, CVPR 2017). "
    "Downloaded when you choose one. The labels come from the data set, mined from reports."
)
SOURCE = (
    "https://raw.githubusercontent.com/jrzech/reproduce-chexnet/a011a9ab108cb03a533aeab52dc934b02a823ac8/starter_images"
)
TIMEOUT = 6.0
"""Seconds without a response after which a download fails."""


@dataclass(frozen=True)
class PublicExample:
    """A radiograph of NIH ChestX-ray14 with its pinned hash."""

    name: str
    sha256: str
    findings: str
    projection: str

    @property
    def id(self) -> str:
        return f"nih-{self.name}"

    @property
    def label(self) -> str:
        return f"{self.findings} · {self.projection}"

    def file(self, cache: Path) -> Path:
        return cache / f"{self.name}.png"


@dataclass(frozen=True)
class SyntheticExample:
    """A phantom with two views, generated from a seed."""

    seed: int
    findings: str

    @property
    def id(self) -> str:
        return f"synthetic-{self.seed}"

    @property
    def label(self) -> str:
        return f"Synthetic · {self.findings}"


PUBLIC = (
    PublicExample(
        name="00000075_000",
        sha256="c8dc36f5ee35f9682b10e285943a6fc25adc9b9cb3c0044a5290567ff921f49b",
        findings="Cardiomegaly",
        projection="PA",
    ),
    PublicExample(
        name="00000129_000",
        sha256="91634844c935cef9dd465c44fa2d929741ada8aadaac0318d68fac4676c5b089",
        findings="No finding",
        projection="PA",
    ),
    PublicExample(
        name="00000100_000",
        sha256="d2fb221be22d4301bed503c8bcfd6b866eab3c6015086b8dd6ab7c97822cd842",
        findings="Effusion, atelectasis, infiltration",
        projection="PA",
    ),
    PublicExample(
        name="00001968_000",
        sha256="7432f820ac16e399b9169a5ddb18f0415b548b0f87cc4f9fdf0188beaab297ac",
        findings="Pneumothorax",
        projection="PA",
    ),
    PublicExample(
        name="00000889_000",
        sha256="e080648002767641aa7d986df89acdfc811a9ccdf380f5cb1e80f6f08ac9327d",
        findings="Nodule",
        projection="PA",
    ),
    PublicExample(
        name="00001528_000",
        sha256="511278940c1095aedf63f1abbab328b1bcce44a279fc21ca14aa1329123a6288",
        findings="Edema, infiltration",
        projection="AP",
    ),
)
SYNTHETIC = (
    SyntheticExample(seed=11, findings="pleural effusion"),
    SyntheticExample(seed=2, findings="cardiomegaly, consolidation"),
    SyntheticExample(seed=4, findings="lung lesion, support devices"),
    SyntheticExample(seed=21, findings="no finding"),
)
EXAMPLES = {example.id: example for example in (*PUBLIC, *SYNTHETIC)}


def open_example(example: PublicExample | SyntheticExample, cache: Path, source: str = SOURCE) -> Study:
    """Open an example as a study; a public one is downloaded into the folder `cache` unless it is cached.

    Raises InputError when it cannot be downloaded, or when its sha256 is not the pinned one.
    """
    if isinstance(example, SyntheticExample):
        phantom = make_phantom(example.seed, size=512)
        return Study(id=example.id, images=phantom.study.images, report=phantom.study.report)
    _download(example, cache, source)
    return _public_study(example, cache)


def cached_example(example_id: str, cache: Path) -> Study | None:
    """Open the example with this id without a network; None if it is unknown or not downloaded yet."""
    example = EXAMPLES.get(example_id)
    if isinstance(example, PublicExample):
        return _public_study(example, cache) if example.file(cache).is_file() else None
    return open_example(example, cache) if example else None


def _public_study(example: PublicExample, cache: Path) -> Study:
    return Study(id=example.id, images=(ImageFile(example.file(cache), view="frontal"),))


def _download(example: PublicExample, cache: Path, source: str) -> None:
    import pooch
    from requests.exceptions import RequestException

    pooch.get_logger().setLevel(logging.WARNING)
    file = example.file(cache)
    try:
        pooch.retrieve(
            url=f"{source}/{file.name}",
            known_hash=f"sha256:{example.sha256}",
            fname=file.name,
            path=cache,
            # The declared type of pooch's `downloader` parameter does not include its own downloaders.
            downloader=pooch.HTTPDownloader(timeout=TIMEOUT, progressbar=False),  # pyright: ignore[reportArgumentType]
        )
    except (RequestException, OSError) as error:
        raise InputError(
            "The example could not be downloaded; is there a network? Choose a synthetic example: it needs none."
        ) from error
    except ValueError as error:
        raise InputError(
            "The example was refused: what was downloaded is not the published file (its sha256 differs). "
            "Choose another example."
        ) from error
