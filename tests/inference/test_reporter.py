"""The reporter: from a study to its report."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from rrg.data.phantom import make_phantom
from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.inference.reporter import Reporter
from rrg.report import Report


@pytest.fixture(scope="module")
def reporter(tiny_weights: Path) -> Reporter:
    return Reporter.from_pretrained(tiny_weights / "r2gen_cmn", device="cpu")


@pytest.fixture(scope="module")
def studies() -> list[Study]:
    studies = [make_phantom(seed, size=96).study for seed in range(5)]
    studies[1] = dataclasses.replace(studies[1], images=studies[1].images[:1])
    studies[2] = dataclasses.replace(studies[2], images=studies[2].images[1:])
    return studies


def test_words_and_sentences_are_slices_of_the_text(reporter: Reporter, studies: list[Study]) -> None:
    for report in reporter.reports(studies):
        assert report.words
        assert [report.text[w.start : w.end] for w in report.words] == [w.text for w in report.words]
        assert [report.text[s.start : s.end] for s in report.sentences] == [s.text for s in report.sentences]
        assert " ".join(s.text for s in report.sentences) == report.text
        for word in report.words:
            sentence = report.sentences[word.sentence]
            assert sentence.start <= word.start < word.end <= sentence.end
            assert 0 < word.probability <= 1


def test_a_batch_has_the_reports_of_single_studies(reporter: Reporter, studies: list[Study]) -> None:
    together = list(reporter.reports(iter(studies), batch_size=3))
    assert [r.study_id for r in together] == [s.id for s in studies]
    assert len({r.text for r in together}) > 1
    for report, study in zip(together, studies, strict=True):
        alone = reporter.report(study)
        assert alone.text == report.text
        np.testing.assert_allclose(
            [w.probability for w in alone.words], [w.probability for w in report.words], atol=1e-4
        )
        np.testing.assert_allclose(
            [f.probability for f in alone.findings], [f.probability for f in report.findings], atol=1e-4
        )
        assert alone.report_id != report.report_id


@torch.inference_mode()
def test_word_probabilities_are_those_of_the_model_given_the_words_before(
    reporter: Reporter, studies: list[Study]
) -> None:
    study = studies[0]
    report = reporter.report(study)
    encoded = reporter.encode(study)
    features, mask = encoded.features, encoded.view_mask
    ids = [reporter.tokenizer.convert_tokens_to_ids(w.text.lower()) for w in report.words]
    prefix = torch.tensor([[0]])
    for word, i in zip(report.words, ids, strict=True):
        logits = reporter.model(features=features, view_mask=mask, decoder_input_ids=prefix).logits[0, -1]
        assert word.probability == pytest.approx(logits.softmax(-1)[i].item(), abs=1e-4)
        prefix = F.pad(prefix, (0, 1), value=i)


def test_a_report_is_equal_after_a_round_trip_through_json(reporter: Reporter, studies: list[Study]) -> None:
    report = reporter.report(studies[0])
    assert Report.from_dict(json.loads(report.to_json())) == report
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.text = "other"  # type: ignore[misc]
    assert report.decoding["num_beams"] == 3
    assert len(report.findings) == 14


def test_a_record_from_before_the_support_was_measured_is_read(reporter: Reporter, studies: list[Study]) -> None:
    report = reporter.report(studies[0])
    record = json.loads(report.to_json())
    assert record.pop("agreement") is None
    assert [sentence.pop("support") for sentence in record["sentences"]] == [None] * len(report.sentences)
    assert Report.from_dict(record) == report


def test_the_order_of_the_images_does_not_matter(reporter: Reporter, studies: list[Study]) -> None:
    swapped = dataclasses.replace(studies[0], images=studies[0].images[::-1])
    assert reporter.report(swapped).text == reporter.report(studies[0]).text


def test_the_hash_changes_with_the_weights(reporter: Reporter, tiny_weights: Path, tmp_path: Path) -> None:
    source = tiny_weights / "r2gen_cmn"
    copy = tmp_path / "other_name"
    copy.mkdir()
    for path in source.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    same = Reporter.from_pretrained(copy, device="cpu")
    assert (same.name, same.weights_sha256) == ("other_name", reporter.weights_sha256)
    generation = json.loads((copy / "generation_config.json").read_text())
    (copy / "generation_config.json").write_text(json.dumps({**generation, "num_beams": 1}))
    assert Reporter.from_pretrained(copy, device="cpu").weights_sha256 != reporter.weights_sha256


def test_features_are_per_study(reporter: Reporter, studies: list[Study]) -> None:
    one, two = (reporter.features(study) for study in studies[:2])
    assert one.shape == (reporter.model.image_encoder.num_features,)
    assert not np.allclose(one, two)


def test_the_digest_of_features_depends_on_all_that_determines_them(tiny_weights: Path) -> None:
    one, two = (Reporter.from_pretrained(tiny_weights / "r2gen_cmn", device="cpu") for _ in range(2))
    with torch.no_grad():
        two.model.image_encoder.findings.weight.add_(1)
    assert one.features_digest == two.features_digest
    with torch.no_grad():
        next(two.model.image_encoder.backbone.parameters()).add_(1)
    assert one.features_digest != two.features_digest
    larger = Reporter.from_pretrained(tiny_weights / "r2gen_cmn", device="cpu")
    larger.transform = dataclasses.replace(larger.transform, size=96)
    assert one.features_digest != larger.features_digest


def test_folders_without_a_known_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.json"):
        Reporter.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match=r"'bert'.*r2gen_cmn"):
        Reporter.from_pretrained(tmp_path)
