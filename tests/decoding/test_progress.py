"""Progress of a report: it follows the decoding, changes nothing, and stops it at every step without traces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rrg.data.phantom import make_phantom
from rrg.data.studies import Study
from rrg.decoding.mbr import MBRConfig
from rrg.decoding.progress import Progress, Stopped
from rrg.inference.loading import load_model
from rrg.inference.reporter import Reporter

SAMPLES = 6
SETTINGS: dict[str, dict[str, Any]] = {
    "greedy": {"num_beams": 1},
    "beam search": {"num_beams": 3},
    "MBR": {"consensus": MBRConfig(samples=SAMPLES).to_dict()},
}


@pytest.fixture
def study() -> Study:
    return make_phantom(0, size=96).study


@pytest.fixture(params=SETTINGS)
def reporter(request: pytest.FixtureRequest, tiny_weights: Path) -> Reporter:
    return with_settings(tiny_weights, request.param)


def with_settings(tiny_weights: Path, name: str) -> Reporter:
    loaded = load_model(tiny_weights / "r2gen_cmn", device="cpu")
    for key, value in SETTINGS[name].items():
        setattr(loaded.model.generation_config, key, value)
    return Reporter(loaded)


def frames_of(reporter: Reporter, study: Study) -> list[Progress]:
    frames: list[Progress] = []
    reporter.report(study, frames.append)
    return frames


def test_the_text_of_a_greedy_search_grows_to_the_report(tiny_weights: Path, study: Study) -> None:
    reporter = with_settings(tiny_weights, "greedy")
    frames = [frame for frame in frames_of(reporter, study) if frame.step == "greedy search"]
    text = reporter.report(study).text
    texts = [frame.text or "" for frame in frames]
    assert texts[-1] == text
    assert all(text.startswith(part) for part in texts)
    assert len(set(texts)) > 5
    assert [frame.words for frame in frames] == list(range(1, len(frames) + 1))
    assert [frame.done for frame in frames] == [0] * (len(frames) - 1) + [1]


def test_texts_of_other_searches_are_not_shown_before_they_are_final(tiny_weights: Path, study: Study) -> None:
    for name in ("beam search", "MBR"):
        assert {frame.text for frame in frames_of(with_settings(tiny_weights, name), study)} == {None}


def test_the_steps_of_mbr_decoding_count_candidates(tiny_weights: Path, study: Study) -> None:
    frames = frames_of(with_settings(tiny_weights, "MBR"), study)
    steps = list(dict.fromkeys(frame.step for frame in frames))
    assert steps == ["reading images", "encoding images", "sampling", "scoring"]
    sampling = [frame for frame in frames if frame.step == "sampling"]
    assert {frame.total for frame in sampling} == {SAMPLES}
    ended = [frame.done for frame in sampling]
    assert ended == sorted(ended) and ended[-1] == SAMPLES


def test_following_the_progress_changes_no_report(reporter: Reporter, study: Study) -> None:
    followed = reporter.report(study, lambda _: None)
    alone = reporter.report(study)
    assert (followed.text, followed.words, followed.findings) == (alone.text, alone.words, alone.findings)


def test_a_stop_at_any_step_leaves_no_trace(reporter: Reporter, study: Study) -> None:
    expected = reporter.report(study)
    count = len(frames_of(reporter, study))
    assert count > 5
    for last in range(count):
        frames: list[Progress] = []

        def stop(frame: Progress, frames: list[Progress] = frames, last: int = last) -> None:
            frames.append(frame)
            if len(frames) > last:
                raise Stopped

        fresh = Reporter(reporter._loaded)  # with an empty cache
        with pytest.raises(Stopped):
            fresh.report(study, stop)
        assert len(frames) == last + 1, "nothing goes on after a stop"
        assert fresh.report(study).words == expected.words
