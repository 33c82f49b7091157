"""Sensitivity and false alarms of each kind of note, as a page of documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.stats import binomtest

from pretraining.quality import spoiling
from pretraining.quality.chests import Chest, radiograph_of, read_listed, read_split
from pretraining.quality.disturbances import disturbed
from pretraining.quality.pictures import HELD_OUT, part_of, read_pictures
from pretraining.quality.samples import SMALL_PART
from pretraining.quality.training import FeatureExtractor, QualityRecipe
from rrg.data.annotation import read_annotation
from rrg.data.files import write_text
from rrg.data.quality import QualityHeads, check
from rrg.data.quality.heads import FILE
from rrg.data.radiographs import Radiograph
from rrg.errors import InputError
from rrg.report import Note

_DRAWN = 60
"""Images of each generator."""

Measured = list[tuple[Note, ...]]
"""The notes on each of several studies."""


@dataclass(frozen=True)
class Row:
    """One line of the table of sensitivities."""

    kind: str
    severity: str
    images: str
    found: int
    count: int


class Checker:
    """Checks studies as the product does, with one pass of the image encoder over all of their images."""

    def __init__(self, extract: FeatureExtractor, heads: QualityHeads):
        self._extract = extract
        self._heads = heads

    def __call__(self, studies: Iterable[Sequence[Radiograph]]) -> Measured:
        """The notes on each study."""
        listed = [tuple(study) for study in studies]
        features = self._extract(radiograph.pixels for study in listed for radiograph in study)
        scores = iter(self._heads.scores(features))
        return [check(study, [next(scores) for _ in study], self._heads.thresholds) for study in listed]

    def images(self, images: Iterable[np.ndarray]) -> Measured:
        """The notes on each image as a study of its own in the frontal slot."""
        return self((radiograph_of(image, "frontal"),) for image in images)


def write_table(recipe: QualityRecipe) -> None:
    """Measure the heads beside the image encoder, and write the page.

    Raises InputError for missing files, or for heads of another encoder.
    """
    heads = QualityHeads.read(recipe.encoder.with_name(FILE))
    extract = FeatureExtractor(recipe.encoder)
    if heads.encoder != extract.identity:
        raise InputError(f"{FILE} beside {recipe.encoder} belongs to another image encoder. Train the heads again.")
    checker = Checker(extract, heads)
    val = read_split(recipe.data, "val")
    second = read_listed(recipe.second, recipe.seed)[1] if recipe.second is not None else []
    rows = list(_sensitivities(checker, val, second, recipe))
    alarms = {"IU X-Ray, val": checker((_as_stated(chest),) for chest in val)}
    if second:
        alarms["NIH ChestX-ray14, held-out fifth"] = checker((_as_stated(chest),) for chest in second)
    studies = checker(study.radiographs() for study in read_annotation(recipe.data, "val"))
    write_text(recipe.table, _page(rows, alarms, studies))


def _as_stated(chest: Chest) -> Radiograph:
    return radiograph_of(chest.pixels, chest.view)


def _sensitivities(
    checker: Checker, val: Sequence[Chest], second: Sequence[Chest], recipe: QualityRecipe
) -> Iterable[Row]:
    random = np.random.default_rng(recipe.seed + 1)
    frontal = [chest.pixels for chest in val if chest.view == "frontal"]
    lateral = [chest.pixels for chest in val if chest.view == "lateral"]
    images = [chest.pixels for chest in (*val, *second)]
    sharp = [chest.pixels for chest in second] or images

    def found(kind: str, severity: str, named: str, notes: Measured, remedy: str | None = None) -> Row:
        hits = sum(
            any(note.kind == kind and _reaches(note, severity) and remedy in (None, note.remedy) for note in study)
            for study in notes
        )
        return Row(kind, severity, named, hits, len(notes))

    drawn = partial(_drawn, random=random)
    yield found(
        "empty", "refuse", "one grey value, also with a frame or faint noise", checker.images(drawn(spoiling.empty))
    )
    yield found("noise", "refuse", "independent pixels", checker.images(drawn(spoiling.noise)))
    for named, others in _other_pictures(images, recipe, random):
        notes = checker.images(others)
        yield found("not_a_chest", "refuse", named, notes)
        yield found("not_a_chest", "warn", named, notes)
    inverted = [1 - image for image in images]
    yield found("inverted", "warn", "chests", checker.images(inverted))
    changed = (disturbed(image, random) for image in inverted)
    yield found("inverted", "warn", "chests, also disturbed", checker.images(changed))
    for turns in (1, 2, 3):
        turned = checker.images(np.ascontiguousarray(np.rot90(image, turns)) for image in images)
        named = f"chests turned by {90 * turns}°"
        yield found("rotated", "warn", named, turned)
        yield found("rotated", "warn", f"{named}, the remedy is right", turned, f"rotate_{90 * turns}")
    alone = checker.images(lateral)
    yield found("wrong_view", "warn", "one lateral image as frontal", alone)
    moved = checker((radiograph_of(image, "lateral"),) for image in frontal)
    yield found("wrong_view", "warn", "one frontal image as lateral", moved)
    pairs = list(zip(frontal, lateral, strict=False))
    swapped = checker((radiograph_of(side, "frontal"), radiograph_of(front, "lateral")) for front, side in pairs)
    yield found("wrong_view", "warn", "both views swapped", swapped)
    twice = zip(frontal[::2], frontal[1::2], strict=False)
    notes = checker((radiograph_of(first, "frontal"), radiograph_of(other, "lateral")) for first, other in twice)
    yield found("two_frontals", "warn", "two frontal images as both views", notes)
    twice = zip(lateral[::2], lateral[1::2], strict=False)
    notes = checker((radiograph_of(first, "frontal"), radiograph_of(other, "lateral")) for first, other in twice)
    yield found("two_laterals", "warn", "two lateral images as both views", notes)
    small = checker.images(spoiling.shrunken(image, int(random.integers(32, 64))) for image in images)
    yield found("too_small", "refuse", "chests of 32 to 63 pixels", small)
    medium = checker.images(spoiling.shrunken(image, int(random.integers(64, 160))) for image in images)
    yield found("too_small", "warn", "chests of 64 to 159 pixels", medium)
    faded = checker.images(spoiling.faded(image, random) for image in images)
    yield found("low_contrast", "warn", "chests with a quarter of the grey scale or less", faded)
    lettered = checker.images(spoiling.lettered(image, random) for image in sharp)
    yield found("burned_in_text", "warn", "chests with a line of 8 to 24 letters", lettered)


def _reaches(note: Note, severity: str) -> bool:
    """Whether a note has at least a severity."""
    return note.severity in (severity, "refuse")


def _drawn(make: Callable[[np.random.Generator], np.ndarray], random: np.random.Generator) -> list[np.ndarray]:
    return [make(random) for _ in range(_DRAWN)]


def _other_pictures(
    chests: Sequence[np.ndarray], recipe: QualityRecipe, random: np.random.Generator
) -> Iterable[tuple[str, list[np.ndarray]]]:
    """Pictures of the kinds that were not trained on, by name."""
    yield "drawn pictures of held-out kinds", [image for make in HELD_OUT for image in _drawn(make, random)]
    if recipe.pictures is not None:
        pictures = read_pictures(recipe.pictures / "held_out")
        yield "held-out photographs and scans", pictures
        yield "parts of these", [part_of(picture, random, 0.5, 0.9) for picture in pictures for _ in range(6)]
    chosen = random.choice(len(chests), 4 * _DRAWN)
    yield "small parts of chests", [part_of(chests[i], random, *SMALL_PART) for i in chosen]


# The page -------------------------------------------------------------------------------------------------------------

_KINDS = (
    "empty",
    "noise",
    "not_a_chest",
    "inverted",
    "rotated",
    "wrong_view",
    "two_frontals",
    "two_laterals",
    "too_small",
    "low_contrast",
    "burned_in_text",
)

_INTRODUCTION = """\
# Checks of the images before a report

Written by `make quality`; do not edit. The checks and their reasons are in `rrg/data/quality/`.

A model describes a chest in any picture. So every study is checked first, in the app, over HTTP, by `rrg report` and
by `rrg batch`. A note has a kind, a severity and a reason. **refuse**: no report is written. **warn**: the report is
written and carries the note. Inverted, turned and swapped images can be corrected with one click in the app.
`rrg evaluate` does not check: it scores every study of a split.

Kinds `empty`, `noise`, `too_small`, `low_contrast` and `burned_in_text` are measures of the pixels. The others are a
perceptron with one hidden layer on the pooled features of the image encoder, which the report needs anyway
(`weights/quality.safetensors`). It belongs to one image encoder. Beside another one it is ignored, the log says so, and
only the pixels are checked; so it is for a model with an image encoder of its own. A new image encoder needs
`make quality` again.
"""

_METHOD = """\
## How it was measured

Thresholds are chosen on calibration images, a fifth of the studies of the training split, by the share of disturbed
chests that may be called wrong: 0.5 % refused as no chest, 2 % doubted, 1 % for each other warning, in each hospital.
An image is refused as no chest only where that is likelier than not. The tables use none of the training images: chests
of the val split of IU X-Ray, and a fifth of the NIH images that was held out before the training. The intervals are
Wilson's, 95 %.

- **Chests to train on**: as they are and with borders, collimation, crops and rotations of up to 10 % and 10°, other
  contrast, uneven exposure, JPEG compression, noise, blur and side markers (`disturbances.py`); two in five turned by
  90, 180 or 270°, three in ten inverted. Synthetic chests are among them.
- **No chests to train on**: coloured noise, gradients, shapes, blobs, text pages, drawn screenshots, patterns, Julia
  sets, plots (`pictures.py`), parts of photographs and of scans of other body parts, and parts of chests with 12 to
  35 % of the side.
- **Held-out kinds**: speckle, cells, Mandelbrot sets, blocks and bars, scribble, spreadsheets, rings, head phantoms,
  handwritten digits, and other photographs and scans than in the training.

The pictures are not part of this repository. Those behind the figures came from packages of wallpapers
(`lomiri-wallpapers`, `ukui-wallpapers`; held out: `mate-backgrounds`) and from the sample images of scikit-learn,
scikit-image, mahotas, imgaug, matplotlib, nilearn and pydicom, 56 to train on and 42 held out.

Limits. The radiographs of other body parts were few (one tibia, and CT and MR slices): DICOM files are also refused by
their tags. Colour pictures are refused when they are read. "Text at the edges" finds real text too, such as PORTABLE on
some NIH images: its false alarms are partly such text. Low contrast and text are measured on undisturbed images.
"""


def _page(rows: Sequence[Row], alarms: dict[str, Measured], studies: Measured) -> str:
    lines = [_INTRODUCTION, "## Sensitivity", ""]
    lines += ["| kind | severity | images | n | found | 95 % interval |", "|---|---|---|---:|---:|---|"]
    for row in rows:
        lines.append(f"| {row.kind} | {row.severity} | {row.images} | {row.count} | {_share(row.found, row.count)} |")
    lines += ["", "A line with severity warn counts refusals too.", "", "## False alarms on real chests", ""]
    names = list(alarms)
    lines += [
        f"| kind | severity | {' | '.join(f'{name} (n = {len(alarms[name])}) | 95 % interval' for name in names)} |",
        f"|---|---|{'---:|---|' * len(names)}",
    ]
    for kind in _KINDS:
        for severity in ("refuse", "warn"):
            if (kind, severity) in _IMPOSSIBLE:
                continue
            cells = [_alarm(alarms[name], kind, severity) for name in names]
            lines.append(f"| {kind} | {severity} | {' | '.join(cells)} |")
    for severity in ("refuse", "warn"):
        cells = [_alarm(alarms[name], None, severity) for name in names]
        lines.append(f"| any | {severity} | {' | '.join(cells)} |")
    refused = sum(any(note.severity == "refuse" for note in notes) for notes in studies)
    noted = sum(bool(notes) for notes in studies)
    swaps = sum(any(note.kind in ("two_frontals", "two_laterals", "wrong_view") for note in notes) for notes in studies)
    lines += [
        "",
        f"Each image is a study of its own here. Of the {len(studies)} val studies as a whole, {refused} would be "
        f"refused and {noted} have a note, {swaps} of them one about views.",
        "",
        _METHOD,
    ]
    return "\n".join(lines)


_IMPOSSIBLE = {
    ("empty", "warn"),
    ("noise", "warn"),
    *((kind, "refuse") for kind in ("inverted", "rotated", "wrong_view", "low_contrast", "burned_in_text")),
    *((kind, severity) for kind in ("two_frontals", "two_laterals") for severity in ("refuse", "warn")),
}
"""Kinds without a severity, and kinds of two images."""


def _alarm(measured: Measured, kind: str | None, severity: str) -> str:
    count = sum(any(kind in (None, note.kind) and _reaches(note, severity) for note in notes) for notes in measured)
    return _share(count, len(measured))


def _share(found: int, count: int) -> str:
    interval = binomtest(found, count).proportion_ci(0.95, method="wilson")
    return f"{found / count:.1%} | {interval.low:.1%} to {interval.high:.1%}"
