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

NORMAL = ["the", "heart", "is", "normal", "in", "size", ".", "the", "lungs", "are", "clear", "."]
CLEAR = ["the", "heart", "is", "normal", ".", "the", "lungs", "are", "clear", "."]
EFFUSION = ["there", "is", "a", "small", "left", "pleural", "effusion", "."]
ODD = ["zebra"]


def random_reports(count: int) -> list[list[str]]:
    generator = np.random.default_rng(0)
    return [[str(word) for word in generator.integers(0, 7, generator.integers(1, 90))] for _ in range(count)]


def test_the_longest_common_subsequence_is_that_of_the_table() -> None:
    reports = random_reports(14)
    for one in reports:
        for other in reports:
            table = np.zeros((len(one) + 1, len(other) + 1), dtype=int)
            for i, a in enumerate(one):
                for j, b in enumerate(other):
                    table[i + 1, j + 1] = table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
            assert consensus.longest_common_subsequence(one, other) == table[-1, -1]


def test_the_agreement_of_a_sample_is_its_mean_rouge_l_against_the_others() -> None:
    reports = random_reports(6)
    expected = [
        np.mean([Rouge().calc_score([" ".join(one)], [" ".join(other)]) for other in reports if other is not one])
        for one in reports
    ]
    np.testing.assert_allclose(consensus.agreement(reports, 1.2), expected, rtol=1e-12)


def test_what_most_samples_say_is_chosen() -> None:
    assert consensus.choose([ODD, EFFUSION, NORMAL, CLEAR, CLEAR], np.full(14, 0.5), Consensus()) == 3


@pytest.mark.parametrize(("belief", "is_asserted"), [(0.9, True), (0.01, False)])
def test_a_finding_is_asserted_where_the_classifier_believes_in_it(belief: float, is_asserted: bool) -> None:
    beliefs = np.full(14, 0.1)
    beliefs[FINDINGS.index("Pleural Effusion")] = belief
    asked = Consensus(findings_weight=1.0, findings_bars=(0.1,) * 13)
    samples = [EFFUSION, CLEAR, NORMAL]
    assert (samples[consensus.choose(samples, beliefs, asked)] == EFFUSION) is is_asserted


def test_more_weight_of_recall_prefers_the_longer_report() -> None:
    samples = [NORMAL, NORMAL[:7], [*NORMAL, *EFFUSION]]
    chosen = [consensus.choose(samples, np.full(14, 0.5), Consensus(recall_weight=weight)) for weight in (0.2, 5.0)]
    assert chosen == [1, 2]


def test_one_sample_and_an_empty_one_can_be_chosen_too() -> None:
    assert consensus.choose([NORMAL], np.full(14, 0.5), Consensus()) == 0
    assert consensus.choose([[], []], np.full(14, 0.5), Consensus()) == 0


def test_the_noise_samples_from_the_distribution_of_the_words() -> None:
    scores = torch.log(torch.tensor([[0.6, 0.3, 0.1]])).repeat(4000, 1)
    drawn = consensus.GumbelNoise([5], 4000, temperature=1.0)(torch.zeros(4000, 1), scores).argmax(1)
    shares = drawn.bincount(minlength=3) / 4000
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
