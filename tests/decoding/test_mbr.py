"""Consensus decoding: how samples are drawn, and one report a study whatever batch it is in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from rrg.data.phantom import make_phantom
from rrg.decoding import mbr
from rrg.decoding.mbr import Consensus
from rrg.inference.reporter import Reporter
from rrg.labels.findings import FINDINGS
from rrg.models.base import ReportEncoderOutput


def test_evidence_is_the_logarithm_of_a_belief_over_its_bar_within_bounds() -> None:
    beliefs = np.full(14, 0.1)
    beliefs[:3] = (0.2, 1.0, 0.0)
    evidence = Consensus(findings_weight=0.5, findings_bars=(0.1, 0.001, *[0.1] * 11)).evidence(beliefs)
    np.testing.assert_allclose(evidence, [0.5 * np.log(2), 1.5, -1.5, *[0] * 10], atol=1e-12)
    assert not Consensus().evidence(beliefs).any()


def test_the_noise_samples_from_the_distribution_of_the_words() -> None:
    scores = torch.log(torch.tensor([[0.6, 0.3, 0.1]])).repeat(4000, 1)
    drawn = mbr.GumbelNoise([5], 4000, temperature=1.0)(torch.zeros(4000, 1), scores).argmax(1)
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
    monkeypatch.setattr(mbr, "_ROWS", 8)
    assert [report.text for report in reporter.reports(studies)] == whole


def test_the_report_says_how_it_was_decoded(reporter: Reporter) -> None:
    decoding = reporter.report(make_phantom(0, size=96).study).decoding
    assert decoding["consensus"]["samples"] == 4
    assert "num_beams" not in decoding


@pytest.mark.parametrize("believed", [True, False])
def test_the_classifier_of_the_study_decides_what_its_samples_leave_open(
    reporter: Reporter, believed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, studies = reporter.tokenizer, 2
    texts = ("heart size is normal .", "there is marked cardiomegaly .")
    written = [torch.tensor([*tokenizer.encode_words(text.split())[0], *[0] * 9])[:9] for text in texts]
    monkeypatch.setattr(mbr, "sample", lambda *_: torch.stack(written).expand(studies, -1, -1))
    logits = torch.zeros(studies, 14)
    logits[1, FINDINGS.index("Cardiomegaly")] = 5.0 if believed else -5.0
    encoded = ReportEncoderOutput(torch.zeros(studies, 1, 1), finding_logits=logits)
    asked = Consensus(samples=2, findings_weight=1.0, findings_bars=(0.6,) * 13)
    ids = mbr.write(reporter.model, tokenizer, encoded, [0, 1], asked)
    assert [" ".join(tokenizer.decode_words(row.numpy())) for row in ids] == [texts[0], texts[believed]]
