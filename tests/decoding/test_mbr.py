"""MBR decoding: how samples are drawn, and one report a study in every batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from rrg.data.phantom import make_phantom
from rrg.decoding import mbr
from rrg.decoding.mbr import MBRConfig, mbr_decode
from rrg.decoding.progress import Progress
from rrg.decoding.sampling import GumbelNoise
from rrg.decoding.support import Support
from rrg.inference.loading import load_model
from rrg.inference.reporter import Reporter
from rrg.labels.findings import FINDINGS
from rrg.models.outputs import ReportEncoderOutput, StudyFeatures


def test_finding_scores_are_bounded_log_ratios_of_probability_and_threshold() -> None:
    probabilities = np.full(14, 0.1)
    probabilities[:3] = (0.2, 1.0, 0.0)
    config = MBRConfig(findings_weight=0.5, finding_thresholds=(0.1, 0.001, *[0.1] * 11))
    expected = [0.5 * np.log(2), 1.5, -1.5, *[0] * 10]
    np.testing.assert_allclose(config.finding_scores(probabilities), expected, atol=1e-12)
    assert not MBRConfig().finding_scores(probabilities).any()


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_gumbel_noise_samples_from_the_softmax_at_a_temperature(temperature: float) -> None:
    scores = torch.log(torch.tensor([[0.6, 0.3, 0.1]])).repeat(4000, 1)
    drawn = GumbelNoise([5], 4000, temperature)(torch.zeros(4000, 1), scores).argmax(1)
    shares = drawn.bincount(minlength=3) / 4000
    torch.testing.assert_close(shares, (scores[0] / temperature).softmax(-1), atol=0.03, rtol=0)


def test_the_configured_temperature_reaches_the_samples(reporter: Reporter) -> None:
    """Samples at a low temperature are nearly all the most probable report."""
    encoded = encode(reporter)
    cold, hot = (
        mbr.sample(reporter.model, encoded, [7], MBRConfig(samples=32, temperature=temperature))[0]
        for temperature in (1e-5, 1.0)
    )
    assert len(cold.unique(dim=0)) == 1
    assert len(hot.unique(dim=0)) > 16


def encode(reporter: Reporter) -> ReportEncoderOutput:
    study = reporter.encode(make_phantom(0, size=96).study)
    with torch.inference_mode():
        return reporter.model.encode(view_mask=study.view_mask, features=study.features)


def test_settings_are_equal_after_saving_and_loading(tmp_path: Path) -> None:
    config = MBRConfig(samples=5, finding_thresholds=(0.2,) * 13)
    GenerationConfig(consensus=config.to_dict()).save_pretrained(tmp_path)
    assert MBRConfig.from_generation_config(GenerationConfig.from_pretrained(tmp_path)) == config
    assert MBRConfig.from_generation_config(GenerationConfig()) is None


def test_the_keys_of_the_file_are_those_of_the_bundled_models(weights: Path) -> None:
    stored = GenerationConfig.from_pretrained(weights / "r2gen_cmn").consensus  # type: ignore[attr-defined]
    assert MBRConfig().to_dict().keys() - {"sentence_bank"} == stored.keys() - {"sentence_bank"}


@pytest.fixture
def reporter(tiny_weights: Path) -> Reporter:
    loaded = load_model(tiny_weights / "r2gen_cmn", device="cpu")
    settings: Any = loaded.model.generation_config
    settings.consensus = MBRConfig(samples=4, finding_thresholds=(0.3,) * 13).to_dict()
    return Reporter(loaded)


def test_a_study_has_the_same_report_alone_in_a_batch_and_again(reporter: Reporter) -> None:
    studies = [make_phantom(seed, size=96).study for seed in range(5)]
    alone = [reporter.report(study).text for study in studies]
    assert len(set(alone)) > 1
    assert [reporter.report(study).text for study in studies] == alone
    assert [report.text for report in reporter.reports(studies, batch_size=3)] == alone
    assert [report.text for report in reporter.reports(studies[::-1], batch_size=5)] == alone[::-1]


def test_more_studies_than_fit_are_decoded_in_parts(reporter: Reporter, monkeypatch: pytest.MonkeyPatch) -> None:
    studies = [make_phantom(seed, size=96).study for seed in range(5)]
    whole = [report.text for report in reporter.reports(studies)]
    monkeypatch.setattr(mbr, "_MAX_ROWS", 8)
    assert [report.text for report in reporter.reports(studies)] == whole


def test_the_report_records_its_decoding_settings(reporter: Reporter) -> None:
    decoding = reporter.report(make_phantom(0, size=96).study).decoding
    assert decoding["consensus"]["samples"] == 4
    assert "num_beams" not in decoding


@pytest.mark.parametrize("probable", [True, False])
def test_the_image_classifier_decides_between_samples_that_disagree(
    reporter: Reporter, probable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, studies = reporter.tokenizer, 2
    texts = ("heart size is normal .", "there is marked cardiomegaly .")
    written = [torch.tensor([*tokenizer.encode_words(text.split())[0], *[0] * 9])[:9] for text in texts]
    monkeypatch.setattr(mbr, "sample", lambda *_: torch.stack(written).expand(studies, -1, -1))
    logits = torch.zeros(studies, 14)
    logits[1, FINDINGS.index("Cardiomegaly")] = 5.0 if probable else -5.0
    encoded = ReportEncoderOutput(torch.zeros(studies, 1, 1), finding_logits=logits)
    config = MBRConfig(samples=2, findings_weight=1.0, finding_thresholds=(0.6,) * 13)
    decoded = mbr_decode(reporter.model, encoded, config, tokenizer, [0, 1])
    assert [" ".join(tokenizer.decode_words(row.numpy())) for row in decoded.ids] == [texts[0], texts[probable]]
    assert decoded.supports == (Support((0.5,), 0.5),) * studies


def test_the_progress_counts_the_candidates_of_all_studies(reporter: Reporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mbr, "_MAX_ROWS", 8)  # two studies at a time
    features = StudyFeatures.concatenate([reporter.encode(make_phantom(seed, size=96).study) for seed in range(3)])
    with torch.inference_mode():
        encoded = reporter.model.encode(view_mask=features.view_mask, features=features.features)
    frames: list[Progress] = []
    mbr_decode(reporter.model, encoded, MBRConfig(samples=4), reporter.tokenizer, [0, 1, 2], progress=frames.append)
    sampling = [frame.done for frame in frames if frame.step == "sampling"]
    assert sampling == sorted(sampling) and {8, 12} <= set(sampling)
    assert {frame.total for frame in frames if frame.step == "sampling"} == {12}
    assert [(frame.done, frame.total) for frame in frames if frame.step == "scoring"] == [(0, 3), (1, 3), (2, 3)]
