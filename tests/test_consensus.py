"""Consensus decoding: what a sample is worth, and one report a study whatever batch it is in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocoevalcap.rouge.rouge import Rouge
from transformers import GenerationConfig

from rrg import consensus
from rrg.consensus import Consensus
from rrg.data.findings import FINDINGS
from rrg.data.phantom import make_phantom
from rrg.reporter import Reporter

NORMAL = ("the", "heart", "is", "normal", "in", "size", ".", "the", "lungs", "are", "clear", ".")
CLEAR = ("the", "heart", "is", "normal", ".", "the", "lungs", "are", "clear", ".")
EFFUSION = ("there", "is", "a", "small", "left", "pleural", "effusion", ".")
ODD = ("zebra",)
HALF = np.full(14, 0.5)


def whole(**settings: Any) -> Consensus:
    """Settings that take one of the samples as it is."""
    return Consensus(recombine=False, **settings)


def test_what_most_samples_say_is_chosen() -> None:
    assert consensus.agree([ODD, EFFUSION, NORMAL, CLEAR, CLEAR], HALF, whole()) == CLEAR


@pytest.mark.parametrize("recombine", [False, True])
@pytest.mark.parametrize(("belief", "is_asserted"), [(0.9, True), (0.01, False)])
def test_a_finding_is_asserted_where_the_classifier_believes_in_it(
    belief: float, is_asserted: bool, recombine: bool
) -> None:
    beliefs = np.full(14, 0.1)
    beliefs[FINDINGS.index("Pleural Effusion")] = belief
    asked = Consensus(findings_weight=1.0, findings_bars=(0.1,) * 13, recombine=recombine)
    written = consensus.agree([EFFUSION, CLEAR, NORMAL], beliefs, asked)
    assert ("effusion" in written) is is_asserted


def test_more_weight_of_recall_prefers_the_longer_report() -> None:
    samples = [NORMAL, NORMAL[:7], (*NORMAL, *EFFUSION)]
    chosen = [consensus.agree(samples, HALF, whole(recall_weight=weight)) for weight in (0.2, 5.0)]
    assert chosen == samples[1:]


def test_sentences_of_several_samples_are_put_together() -> None:
    heart, lungs, bones = (tuple(text.split()) for text in ("heart normal .", "lungs are clear .", "no fracture ."))
    samples = [(*heart, *ODD), (*lungs, *bones), (*heart, *lungs), (*heart, *bones), (*heart, *lungs, *bones, "x", "y")]
    assert consensus.agree(samples, HALF, whole()) in samples
    assert consensus.agree(samples, HALF, Consensus()) == (*heart, *lungs, *bones)


def random_samples(seed: int) -> list[tuple[str, ...]]:
    """Reports of one to five sentences out of twelve, some without a full stop at their end."""
    generator = np.random.default_rng(seed)
    known = [(*(str(w) for w in generator.integers(0, 9, generator.integers(1, 7))), ".") for _ in range(12)]
    samples = [
        consensus.joined([known[i] for i in generator.choice(12, generator.integers(1, 6), replace=False)])
        for _ in range(8)
    ]
    return [*samples[:-1], samples[-1][:-1]]


@pytest.mark.parametrize("seed", range(20))
def test_no_one_change_makes_a_recombined_report_worth_more(seed: int) -> None:
    samples, asked = random_samples(seed), Consensus()
    written = consensus.agree(samples, HALF, asked)

    def value(report: tuple[str, ...]) -> float:
        return float(np.mean([Rouge().calc_score([" ".join(report)], [" ".join(other)]) for other in samples]))

    offered = {sentence for sample in samples for sentence in consensus.sentences(sample)}
    report = tuple(consensus.sentences(written))
    assert set(report) <= offered
    assert len(written) <= max(map(len, samples))
    assert value(written) >= value(consensus.agree(samples, HALF, whole())) - 1e-9
    others = [report[:i] + report[i + 1 :] for i in range(len(report)) if len(report) > 1]
    for sentence in {sentence for sentence in offered if sentence[-1] == "."} - set(report):
        others += [(*report[:i], sentence, *report[i + 1 :]) for i in range(len(report))]
        others += [(*report[:i], sentence, *report[i:]) for i in range(len(report) + 1)]
    allowed = [
        other
        for each in others
        if len(other := consensus.joined(each)) <= max(map(len, samples)) and all(s[-1] == "." for s in each[:-1])
    ]
    assert max(map(value, allowed)) <= value(written) + 1e-8


def test_the_sentences_of_a_report_are_all_of_it() -> None:
    assert list(consensus.sentences(NORMAL)) == [NORMAL[:7], NORMAL[7:]]
    assert list(consensus.sentences((*EFFUSION, *ODD))) == [EFFUSION, ODD]
    assert list(consensus.sentences(())) == []


@pytest.mark.parametrize("recombine", [False, True])
def test_one_sample_and_an_empty_one_can_be_chosen_too(recombine: bool) -> None:
    asked = Consensus(recombine=recombine)
    assert consensus.agree([NORMAL], HALF, asked) == NORMAL
    assert consensus.agree([(), ()], HALF, asked) == ()


def test_the_noise_samples_from_the_distribution_of_the_words() -> None:
    scores = torch.log(torch.tensor([[0.6, 0.3, 0.1]])).repeat(4000, 1)
    left = consensus.GumbelNoise([5], 4000, temperature=1.0)(torch.zeros(4000, 1), scores)
    assert (left.softmax(1).amax(1) == 1).all(), "nothing is left to chance but by the noise"
    shares = left.argmax(1).bincount(minlength=3) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.6, 0.3, 0.1]), atol=0.03, rtol=0)


def test_the_settings_survive_the_file(tmp_path: Path) -> None:
    wanted = Consensus(samples=5, findings_bars=(0.2,) * 13)
    GenerationConfig(consensus=wanted.to_dict()).save_pretrained(tmp_path)
    assert Consensus.of(GenerationConfig.from_pretrained(tmp_path)) == wanted
    assert Consensus.of(GenerationConfig()) is None


@pytest.fixture
def reporter(tiny_weights: Path) -> Reporter:
    reporter = Reporter.from_pretrained(tiny_weights / "r2gen_cmn", device="cpu")
    settings: Any = reporter.model.generation_config
    settings.consensus = Consensus(samples=4, findings_bars=(0.3,) * 13).to_dict()
    return Reporter("r2gen_cmn", reporter.model, reporter.tokenizer, reporter.weights_sha256)


def test_a_study_has_one_report_alone_in_a_batch_and_again(reporter: Reporter) -> None:
    studies = [make_phantom(seed, size=96).study for seed in range(5)]
    alone = [reporter.report(study).text for study in studies]
    assert len(set(alone)) > 1
    assert [reporter.report(study).text for study in studies] == alone
    assert [report.text for report in reporter.reports(studies, batch_size=3)] == alone
    assert [report.text for report in reporter.reports(studies[::-1], batch_size=5)] == alone[::-1]


def test_more_studies_than_fit_are_written_in_parts(reporter: Reporter, monkeypatch: pytest.MonkeyPatch) -> None:
    studies = [make_phantom(seed, size=96).study for seed in range(5)]
    whole = [report.text for report in reporter.reports(studies)]
    monkeypatch.setattr(consensus, "_ROWS", 8)
    assert [report.text for report in reporter.reports(studies)] == whole


def test_the_report_says_how_it_was_decoded(reporter: Reporter) -> None:
    decoding = reporter.report(make_phantom(0, size=96).study).decoding
    assert decoding["consensus"]["samples"] == 4
    assert "num_beams" not in decoding
