"""Phantoms: reproducible from the seed, with correct boxes and reports, and written as a data folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

import rrg.data
from rrg.__main__ import phantom
from rrg.data.annotation import read_annotation
from rrg.data.phantom import Box, Phantom, make_phantom, write_phantoms
from rrg.data.phantom.abnormalities import FINDING, Abnormality, Kind, Zone, sample_abnormalities
from rrg.data.phantom.body import Body, Side, project_frontal
from rrg.data.phantom.generation import draw
from rrg.data.phantom.report import write_report
from rrg.errors import InputError
from rrg.labels.findings import FINDINGS, Status, label_report

SIZE = 128
SMALL = 64
IN_LUNG = ("nodule", "opacity", "consolidation")
KINDS: tuple[Kind, ...] = get_args(Kind)
SIDES: tuple[Side, ...] = get_args(Side)


def _body(seed: int = 0) -> Body:
    return Body.sample(np.random.default_rng(seed))


def _abnormality(kind: Kind, side: Side, zone: Zone = "mid") -> Abnormality:
    if kind == "cardiomegaly":
        return Abnormality(kind)
    if kind not in IN_LUNG:
        return Abnormality(kind, side)
    height, depth = {"upper": (0.3, 0.55), "mid": (0.5, 0.5), "lower": (0.8, 0.8)}[zone]
    return Abnormality(kind, side, zone, across=0.65, height=height, depth=depth)


def _hashes(seed: int, size: int) -> list[str]:
    return [radiograph.sha256 for radiograph in make_phantom(seed, size).study.radiographs()]


def test_a_seed_gives_the_same_phantom_in_every_process() -> None:
    script = (
        "from rrg.data.phantom import make_phantom\n"
        f"for seed in (0, 7, 10**9):\n    p = make_phantom(seed, {SIZE})\n"
        "    print(*[r.sha256 for r in p.study.radiographs()], sorted(p.findings), p.boxes, p.study.report)"
    )
    folder = str(Path(rrg.data.__path__[0]).parents[1])
    outputs = {
        subprocess.run(
            [sys.executable, "-P", "-c", script],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONPATH": folder, "PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert all(digest in outputs.pop().decode() for digest in _hashes(7, SIZE)[:1])


def test_seeds_give_different_phantoms() -> None:
    assert len({digest for seed in range(8) for digest in _hashes(seed, SMALL)}) == 16


@pytest.mark.parametrize("seed", range(4))
def test_size_changes_only_the_resolution(seed: int) -> None:
    small, large = make_phantom(seed, 128), make_phantom(seed, 256)
    assert small.study.report == large.study.report
    assert small.findings == large.findings
    assert len(small.boxes) == len(large.boxes)
    for one, other in zip(small.boxes, large.boxes, strict=True):
        np.testing.assert_allclose(_corners(one), _corners(other), atol=3 / 128)
    for one, other in zip(small.study.radiographs(), large.study.radiographs(), strict=True):
        halved = other.pixels.reshape(128, 2, 128, 2).mean(axis=(1, 3))
        assert np.corrcoef(one.pixels.ravel(), halved.ravel())[0, 1] > 0.98


def _corners(box: Box) -> tuple[float, float, float, float]:
    return box.x0, box.y0, box.x1, box.y1


def test_pixels_have_the_range_of_a_radiograph() -> None:
    for radiograph in make_phantom(3, 200).study.radiographs():
        assert radiograph.pixels.shape == (200, 200)
        assert radiograph.pixels.dtype == np.float32
        assert 0 <= radiograph.pixels.min() < 0.1
        assert 0.7 < radiograph.pixels.max() <= 1


def test_bone_and_heart_are_bright_and_lungs_and_air_dark() -> None:
    body = _body()
    frontal = draw(body, (), SIZE).pixels[0]

    def brightness(x: float, y: float) -> float:
        row, column = int(y * SIZE), int(x * SIZE)
        return float(frontal[row - 3 : row + 4, column - 3 : column + 4].mean())

    lungs = [brightness(body.midline + sign * 0.6 * body.width, 0.45) for sign in (-1, 1)]
    assert brightness(0.03, 0.9) < min(lungs)
    assert max(lungs) < brightness(body.midline, 0.6) < 1
    assert max(lungs) < brightness(body.midline - 0.5 * body.width, 0.95)
    heart_border = 0.2
    assert brightness(body.midline + heart_border, body.base - 0.08) > brightness(
        body.midline - heart_border, body.base - 0.08
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
def test_boxes_bound_the_changed_pixels(kind: Kind, side: Side) -> None:
    abnormality = _abnormality(kind, side)
    with_it, without = draw(_body(), (abnormality,), SIZE), draw(_body(), (), SIZE)
    assert [(box.finding, box.view) for box in with_it.boxes] == [(FINDING[kind], v) for v in ("frontal", "lateral")]
    assert without.boxes == ()
    for box, changed, unchanged in zip(with_it.boxes, with_it.pixels, without.pixels, strict=True):
        difference = np.abs(changed - unchanged)
        x0, y0, x1, y1 = (round(corner * SIZE) for corner in _corners(box))
        inside = difference[y0:y1, x0:x1]
        outside = difference.copy()
        outside[y0:y1, x0:x1] = 0
        assert outside.max() < 0.04
        assert inside.max() > 0.04
        if kind != "cardiomegaly":  # its box bounds the heart, of which only the border changes
            for edge in (inside[:4], inside[-4:], inside[:, :4], inside[:, -4:]):
                assert edge.max() > 0.008


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("cardiomegaly", "catheter", "pacemaker")])
@pytest.mark.parametrize("side", SIDES)
def test_patients_right_is_at_the_left_of_the_frontal_image(kind: Kind, side: Side) -> None:
    body = _body()
    frontal, _ = draw(body, (_abnormality(kind, side),), SIZE).boxes
    assert (frontal.x1 < body.midline) if side == "right" else (frontal.x0 > body.midline)


@pytest.mark.parametrize("side", SIDES)
def test_pacemaker_generator_is_on_its_side(side: Side) -> None:
    body = _body()
    change = draw(body, (Abnormality("pacemaker", side),), SIZE).pixels[0] - draw(body, (), SIZE).pixels[0]
    middle = round(body.midline * SIZE)
    right, left = change[:, : middle - 16].sum(), change[:, middle + 16 :].sum()
    assert (right > 2 * left) if side == "right" else (left > 2 * right)


@pytest.mark.parametrize("kind", IN_LUNG)
@pytest.mark.parametrize("zone", get_args(Zone))
def test_a_finding_has_the_same_height_in_both_views(kind: Kind, zone: Zone) -> None:
    body = _body()
    frontal, lateral = draw(body, (_abnormality(kind, "right", zone),), SIZE).boxes
    assert (frontal.y0 + frontal.y1) / 2 == pytest.approx((lateral.y0 + lateral.y1) / 2, abs=0.03)
    third = ((frontal.y0 + frontal.y1) / 2 - body.apex) / (body.base - body.apex)
    assert {"upper": 0 < third < 0.4, "mid": 0.4 < third < 0.65, "lower": 0.65 < third < 1}[zone]


def test_lower_lobe_is_posterior_in_the_lateral_view() -> None:
    lateral = draw(_body(), (_abnormality("consolidation", "left", "lower"),), SIZE).boxes[1]
    assert lateral.x0 > 0.5


def test_cardiomegaly_is_a_heart_wider_than_half_the_chest() -> None:
    for seed in range(6):
        body = _body(seed)
        columns = np.flatnonzero((project_frontal(body, SIZE).heart > 0.5).any(axis=0))
        normal = (columns[-1] - columns[0]) / SIZE
        enlarged = draw(body, (Abnormality("cardiomegaly"),), SIZE).boxes[0]
        assert normal < 0.5 * 2 * body.width < enlarged.x1 - enlarged.x0


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    return [make_phantom(seed, SMALL) for seed in range(40)]


def _report(seed: int) -> tuple[tuple[Abnormality, ...], str]:
    rng = np.random.default_rng(seed)
    abnormalities = sample_abnormalities(rng)
    return abnormalities, write_report(abnormalities, rng)


def _labels(report: str, status: Status) -> set[str]:
    return {label.name for label in label_report(report) if label.status is status}


def test_labels_of_the_report_equal_the_findings(phantoms: list[Phantom]) -> None:
    for made in phantoms:
        assert made.study.report
        assert _labels(made.study.report, Status.PRESENT) == made.findings, made.study.report


def test_labels_of_any_report_equal_its_findings_and_none_is_uncertain() -> None:
    for seed in range(400):
        abnormalities, report = _report(seed)
        found = {abnormality.finding for abnormality in abnormalities}
        assert _labels(report, Status.PRESENT) - {"No Finding"} == found, report
        assert not _labels(report, Status.UNCERTAIN), report


def test_report_names_the_sides() -> None:
    for seed in range(400):
        abnormalities, report = _report(seed)
        sides = {abnormality.side for abnormality in abnormalities} - {None}
        text = report.lower().replace("right atrium", "").replace("right ventricle", "")
        named = {side for side in SIDES if side in text} | (set(SIDES) if "bilateral" in text else set())
        assert named == sides, report


def test_reports_vary() -> None:
    assert len({_report(seed)[1] for seed in range(200)}) > 150


def test_every_finding_is_visible_in_both_views(phantoms: list[Phantom]) -> None:
    for made in phantoms:
        shown = {(box.finding, box.view) for box in made.boxes}
        assert shown == {(name, view) for name in made.findings - {"No Finding"} for view in ("frontal", "lateral")}
        for box in made.boxes:
            assert 0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1


def test_a_third_is_normal_and_every_kind_occurs() -> None:
    sampled = [sample_abnormalities(np.random.default_rng(seed)) for seed in range(1500)]
    assert 0.29 < sum(not found for found in sampled) / len(sampled) < 0.38
    kinds = Counter((each.kind, each.side) for found in sampled for each in found)
    assert set(kinds) == {("cardiomegaly", None)} | {(k, s) for k in KINDS if k != "cardiomegaly" for s in SIDES}
    assert min(kinds.values()) > 30
    assert any(len(found) == 3 for found in sampled)


def test_finding_names_are_those_of_the_labeler() -> None:
    assert set(FINDING.values()) <= set(FINDINGS)


def test_a_written_folder_reads_back_as_the_same_phantoms(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "phantoms"
    write_phantoms(folder, 10, seed=3, size=SMALL)
    studies = read_annotation(folder)
    assert Counter(study.split for study in studies) == {"train": 8, "val": 1, "test": 1}
    assert sorted(path.name for path in folder.iterdir()) == ["annotation.json", "boxes.json", "images"]
    boxes = json.loads((folder / "boxes.json").read_text())
    assert set(boxes) == {study.id for study in studies}
    for study in studies:
        made = make_phantom(int(study.id.removeprefix("phantom-")), SMALL)
        assert study.report == made.study.report
        read = study.radiographs()
        assert [radiograph.view for radiograph in read] == ["frontal", "lateral"]
        assert [radiograph.sha256 for radiograph in read] == [r.sha256 for r in made.study.radiographs()]
        assert tuple(Box(**box) for box in boxes[study.id]) == made.boxes


@pytest.mark.parametrize(("count", "splits"), [(1, (1, 0, 0)), (2, (2, 0, 0)), (3, (1, 1, 1)), (15, (11, 2, 2))])
def test_split_sizes(tmp_path: Path, count: int, splits: tuple[int, int, int]) -> None:
    write_phantoms(tmp_path / "out", count, size=SMALL)
    annotation = json.loads((tmp_path / "out" / "annotation.json").read_text())
    assert {name: len(records) for name, records in annotation.items()} == dict(
        zip(("train", "val", "test"), splits, strict=True)
    )


def test_folders_of_different_seeds_share_no_study(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_phantoms(tmp_path / str(seed), 4, seed=seed, size=SMALL)
    ids = [{study.id for study in read_annotation(tmp_path / str(seed))} for seed in (0, 1)]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize(
    "call",
    [
        lambda folder: write_phantoms(folder, 0),
        lambda folder: write_phantoms(folder, 3, seed=-1),
        lambda folder: write_phantoms(folder, 3, size=8),
        lambda folder: write_phantoms(folder, 3, size=10**6),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path: Path, call: Callable[[Path], None]) -> None:
    with pytest.raises(InputError, match="Use "):
        call(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "annotation.json").write_text("mine")
    with pytest.raises(InputError, match="Name a new folder"):
        write_phantoms(tmp_path, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["annotation.json"]
    assert (tmp_path / "annotation.json").read_text() == "mine"


def test_an_unwritable_folder_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="file"):
        write_phantoms(tmp_path / "file" / "out", 3)


def test_an_error_while_writing_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Image.Image.save
    saved = []

    def fail_at_the_third(image: Image.Image, *arguments: object, **options: object) -> None:
        saved.append(arguments)
        if len(saved) == 3:
            raise OSError(28, "No space left on device")
        save(image, *arguments, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Image.Image, "save", fail_at_the_third)
    with pytest.raises(InputError, match="No space left"):
        write_phantoms(tmp_path / "out", 4, size=SMALL)
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_the_number_of_studies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phantom(tmp_path / "out", count=3, seed=1, size=SMALL)
    assert "3 synthetic studies" in capsys.readouterr().out
    assert len(read_annotation(tmp_path / "out")) == 3


def test_with_one_wording_equal_findings_give_equal_reports() -> None:
    normal = {p.study.report for seed in range(40) if not (p := make_phantom(seed, 64, one_wording=True)).boxes}
    assert len(normal) == 1
    varied = {p.study.report for seed in range(40) if not (p := make_phantom(seed, 64)).boxes}
    assert len(varied) > 3
    one, other = make_phantom(3, 64), make_phantom(3, 64, one_wording=True)
    assert one.findings == other.findings
    assert all(
        np.array_equal(a.pixels, b.pixels)
        for a, b in zip(one.study.radiographs(), other.study.radiographs(), strict=True)
    )
