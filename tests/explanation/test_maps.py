"""Maps: of the right report, word and view, by the method that they name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rrg.data.phantom import make_phantom
from rrg.data.studies import Study
from rrg.errors import InputError
from rrg.explanation.class_activation import grad_cam
from rrg.explanation.maps import MAX_IDS, cross_attention
from rrg.inference.reporter import Reporter
from rrg.inference.writing import read_ids
from rrg.labels.atlas import ATLAS, REGIONS
from rrg.labels.findings import FINDINGS
from rrg.layers.image_encoder import ImageEncoder
from rrg.models import ARCHITECTURES


@pytest.fixture(scope="module")
def reporter(tiny_weights: Path) -> Reporter:
    return Reporter.from_pretrained(tiny_weights / "r2gen_cmn", device="cpu")


@pytest.fixture(scope="module")
def study() -> Study:
    return make_phantom(3, size=96).study


def test_every_word_sentence_and_finding_has_a_map_over_every_view(reporter: Reporter, study: Study) -> None:
    report = reporter.report(study)
    explanation = reporter.explain(study, report)
    assert len(explanation.words) == len(report.words)
    assert len(explanation.sentences) == len(report.sentences)
    assert [m.target for m in explanation.findings] == [name for name in FINDINGS if name != "No Finding"]
    for heatmap, word in zip(explanation.words, report.words, strict=True):
        assert heatmap.span == (word.start, word.end)
        assert heatmap.values.shape[0] == 2
        assert heatmap.values.sum() == pytest.approx(1, abs=1e-4)
    for heatmap in (*explanation.words, *explanation.sentences, *explanation.findings):
        assert heatmap.method and heatmap.layer and heatmap.reduction
        assert heatmap.values.dtype == np.float32
        assert heatmap.values.min() >= 0


@torch.inference_mode()
def test_a_word_map_is_the_attention_of_the_step_that_generated_the_word(reporter: Reporter, study: Study) -> None:
    """Decoding step by step, the attention at the last position belongs to the word chosen there."""
    report = reporter.report(study)
    words = reporter.explain(study, report).words
    encoded = reporter.encode(study)
    features, mask = encoded.features, encoded.view_mask
    prefix = [0]
    for word, heatmap in zip(report.words, words, strict=True):
        outputs = reporter.model(
            features=features, view_mask=mask, decoder_input_ids=torch.tensor([prefix]), output_attentions=True
        )
        attention = torch.stack([layer[0, :, -1].mean(0) for layer in outputs.cross_attentions]).mean(0)
        np.testing.assert_allclose(heatmap.values.ravel(), attention.detach().numpy(), atol=1e-5)
        prefix.append(reporter.tokenizer.convert_tokens_to_ids(word.text.lower()))


def test_maps_are_those_of_the_report_and_study_that_are_given(reporter: Reporter, tiny_weights: Path) -> None:
    """Reports and maps that were computed before, in any order, have no effect."""
    studies = [make_phantom(seed, size=96).study for seed in range(6)]
    studies = [dataclasses.replace(s, images=s.images[i % 2 :][: 1 + i // 3]) for i, s in enumerate(studies)]
    reports = [reporter.report(study) for study in studies]
    assert len({report.text for report in reports}) > 1
    for study, report in zip(reversed(studies), reversed(reports), strict=True):
        maps = reporter.explain(study, report)
        fresh = Reporter.from_pretrained(tiny_weights / "r2gen_cmn", device="cpu").explain(study, report)
        for one, other in zip((*maps.words, *maps.findings), (*fresh.words, *fresh.findings), strict=True):
            assert one.target == other.target
            np.testing.assert_allclose(one.values, other.values, atol=1e-6)
    other = next(report for report in reports if report.text != reports[0].text)
    one, two = (reporter.explain(studies[0], report) for report in (reports[0], other))
    assert [m.target for m in one.words] != [m.target for m in two.words]
    assert not np.allclose(one.words[-1].values, two.words[-1].values, atol=1e-6)


def test_attention_to_masked_copies_of_a_view_counts_for_the_view(
    tiny_folder: Callable[[str], Path], study: Study
) -> None:
    """CSR-LMCA encodes each view twice: the map of a word sums to 1 over the views, both copies included."""
    csr_lmca = Reporter.from_pretrained(tiny_folder("csr_lmca"), device="cpu")
    report = csr_lmca.report(study)
    maps = csr_lmca.explain(study, report)
    encoded = csr_lmca.encode(study)
    ids = torch.tensor([csr_lmca.tokenizer.encode_words([word.text.lower() for word in report.words])[0]])
    with torch.inference_mode():
        outputs = csr_lmca.model(
            features=encoded.features,
            view_mask=encoded.view_mask,
            decoder_input_ids=csr_lmca.model.shift_right(ids),
            output_attentions=True,
        )
    attention = torch.stack(outputs.cross_attentions).mean(dim=(0, 2))[0]  # [T,N]
    copies = attention.unflatten(-1, (2, 2, *maps.words[0].values.shape[1:]))  # [T,copy,view,h,w]
    assert copies[:, 1].sum() > 0.1, "the masked copies must be attended to"
    for heatmap, expected in zip(maps.words, copies.sum(1).numpy(), strict=True):
        assert heatmap.values.sum() == pytest.approx(1, abs=1e-4)
        np.testing.assert_allclose(heatmap.values, expected, atol=1e-6)
    assert "saliency mask (SDAM)" in [heatmap.target for heatmap in maps.native]


def test_the_map_of_a_word_is_the_mean_over_its_byte_pairs(tiny_folder: Callable[[str], Path], study: Study) -> None:
    vit_gpt2 = Reporter.from_pretrained(tiny_folder("vit_gpt2"), device="cpu")
    report = vit_gpt2.report(study)
    ids, word_of_id = vit_gpt2.tokenizer.encode_words([word.text.lower() for word in report.words])
    assert len(ids) > len(report.words), "a word of several byte pairs is needed"
    encoded = vit_gpt2.encode(study)
    with torch.inference_mode():
        outputs = vit_gpt2.model.encode(view_mask=encoded.view_mask, features=encoded.features)
        attention = cross_attention(vit_gpt2.model, outputs, torch.tensor(ids)).numpy()  # [T,V,h,w]
    for i, heatmap in enumerate(vit_gpt2.explain(study, report).words):
        own = [attention[t] for t, word in enumerate(word_of_id) if word == i]
        np.testing.assert_allclose(heatmap.values, np.mean(own, axis=0), atol=1e-6)
        assert "byte pairs" in heatmap.reduction


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_maps_of_the_unchanged_text_are_those_of_the_report(
    architecture: str, tiny_folder: Callable[[str], Path], study: Study
) -> None:
    tiny = Reporter.from_pretrained(tiny_folder(architecture), device="cpu")
    # An untrained model of byte pairs writes bytes that are no text.
    ids = tiny.tokenizer.encode_report(study.report or "", 40)[1:]
    content = read_ids(tiny.tokenizer, ids, np.ones(len(ids)))
    report = dataclasses.replace(
        tiny.report(study), text=content.text, words=content.words, sentences=content.sentences
    )
    ours, theirs = tiny.explain_text(study, report, report.text), tiny.explain(study, report)
    assert not ours.without_map
    assert ours.regions == theirs.regions
    for kind in ("words", "sentences", "findings", "native"):
        assert len(getattr(theirs, kind)) > 0
        for one, other in zip(getattr(ours, kind), getattr(theirs, kind), strict=True):
            assert (one.target, one.method, one.span) == (other.target, other.method, other.span)
            np.testing.assert_allclose(one.values, other.values, atol=1e-5)


def test_maps_of_an_edited_text_are_those_of_teacher_forcing(reporter: Reporter, study: Study) -> None:
    """The words before an edit keep their maps; those after it attend with the new words before them."""
    report = reporter.report(study)
    count = 3
    end = report.words[count - 1].end
    text = f"{report.text[:end]} heart  Bronchiectasis. {report.text[end:]}"
    edited, original = reporter.explain_text(study, report, text), reporter.explain(study, report)
    assert [heatmap.target for heatmap in edited.words[count : count + 2]] == ["heart", "Bronchiectasis"]
    assert edited.without_map == {count + 1}
    assert edited.words[count + 1].values.max() == 0
    for one, other in zip(edited.words[:count], original.words[:count], strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=1e-6)
    encoded = reporter.encode(study)
    words = [heatmap.target.lower() for heatmap in edited.words]
    ids = torch.tensor(reporter.tokenizer.encode_words(words)[0])
    with torch.inference_mode():
        outputs = reporter.model.encode(view_mask=encoded.view_mask, features=encoded.features)
        expected = cross_attention(reporter.model, outputs, ids).numpy()
    known = [i for i in range(len(words)) if i != count + 1]
    np.testing.assert_allclose([edited.words[i].values for i in known], expected[known], atol=1e-6)
    own = [edited.words[i].values for i in range(count + 3) if i != count + 1]  # with the full stop
    np.testing.assert_allclose(edited.sentences[0].values, np.mean(own, axis=0), atol=1e-6)
    for heatmap in (*edited.words, *edited.sentences):
        assert heatmap.span is not None
        assert text[slice(*heatmap.span)] == heatmap.target


def test_words_beyond_the_positions_of_the_decoder_have_no_map(
    tiny_folder: Callable[[str], Path], study: Study
) -> None:
    vit_gpt2 = Reporter.from_pretrained(tiny_folder("vit_gpt2"), device="cpu")
    report = vit_gpt2.report(study)
    edited = vit_gpt2.explain_text(study, report, "heart " * 100)
    assert len(edited.words) == 100
    assert edited.without_map == set(range(min(edited.without_map), 100))
    assert edited.words[0].values.max() > 0
    assert max(edited.words[i].values.max() for i in edited.without_map) == 0


def test_a_long_text_has_maps_of_its_first_words_alone(reporter: Reporter, study: Study) -> None:
    edited = reporter.explain_text(study, reporter.report(study), "heart " * 600)
    assert edited.without_map == set(range(MAX_IDS, 600))


def test_an_edited_text_of_other_weights_is_refused(reporter: Reporter, study: Study) -> None:
    report = dataclasses.replace(reporter.report(study), weights_sha256="0" * 64)
    with pytest.raises(InputError, match="other weights"):
        reporter.explain_text(study, report, report.text)


def test_a_sentence_map_is_the_mean_of_its_words(reporter: Reporter, study: Study) -> None:
    report = reporter.report(study)
    explanation = reporter.explain(study, report)
    for i, heatmap in enumerate(explanation.sentences):
        own = [m.values for m, w in zip(explanation.words, report.words, strict=True) if w.sentence == i]
        np.testing.assert_allclose(heatmap.values, np.mean(own, axis=0), atol=1e-6)


def test_maps_follow_the_order_of_the_radiographs(reporter: Reporter, study: Study) -> None:
    """A lateral view alone has one map, of the lateral slot, and it is the map of that radiograph."""
    lateral = dataclasses.replace(study, images=study.images[1:])
    explanation = reporter.explain(lateral, reporter.report(lateral))
    for heatmap in (*explanation.words, *explanation.findings):
        assert heatmap.values.shape[0] == 1
    assert explanation.words[0].values.sum() == pytest.approx(1, abs=1e-4)
    both = reporter.explain(study, reporter.report(study))
    pairs = zip(explanation.findings, both.findings, strict=True)
    lone, paired = max(((one.values[0], two.values[1]) for one, two in pairs), key=lambda pair: pair[0].max())
    assert lone.max() > 0
    np.testing.assert_allclose(lone / lone.max(), paired / paired.max(), atol=1e-3)


def test_the_models_own_maps_are_shown_as_it_computed_them(tiny_camanet: Path, study: Study) -> None:
    """The discriminative map and 14 class maps of CAMANet, over the study's radiographs and unscaled."""
    camanet = Reporter.from_pretrained(tiny_camanet / "camanet", device="cpu")
    lateral = dataclasses.replace(study, images=study.images[1:])
    for shown, slots in ((study, [0, 1]), (lateral, [1])):
        native = camanet.explain(shown, camanet.report(shown)).native
        assert [heatmap.target for heatmap in native] == [
            "discriminative map",
            *(f"class map: {name}" for name in FINDINGS),
        ]
        with torch.inference_mode():
            encoded = camanet.encode(shown)
            maps = camanet.model.encode(features=encoded.features, view_mask=encoded.view_mask).maps
        for heatmap in native:
            assert heatmap.method == "CAMANet"
            assert heatmap.layer and heatmap.reduction
            assert heatmap.values.dtype == np.float32
            np.testing.assert_array_equal(heatmap.values, maps[heatmap.target][0, slots].numpy())
        assert max(heatmap.values.max() for heatmap in native) > 0


def test_regions_are_the_boxes_of_the_predicted_graph_on_the_frontal_view(
    tiny_folder: Callable[[str], Path], study: Study
) -> None:
    sgrrg = Reporter.from_pretrained(tiny_folder("sgrrg"), device="cpu")
    shown = dataclasses.replace(study, images=study.images[::-1])  # the lateral first: `radiographs` sorts them
    encoded = sgrrg.encode(shown)

    def outputs() -> Any:
        with torch.inference_mode():
            return sgrrg.model.encode(features=encoded.features, view_mask=encoded.view_mask)

    sgrrg.model.config.region_threshold = float(outputs().region_logits.sigmoid().median())
    regions = sgrrg.explain(shown, sgrrg.report(shown)).regions
    described = [name for name, inside in zip(REGIONS, outputs().region_mask[0], strict=True) if inside]
    assert 0 < len(described) < len(REGIONS)
    assert [region.name for region in regions] == described
    for region in regions:
        assert shown.radiographs()[region.view].view == "frontal"
        assert region.box == pytest.approx(ATLAS[REGIONS.index(region.name)])
    lateral = dataclasses.replace(study, images=study.images[1:])
    assert sgrrg.explain(lateral, sgrrg.report(lateral)).regions == ()


def test_grad_cam_of_a_linear_classifier_is_its_class_activation_map() -> None:
    """Selvaraju et al., section 3: for a linear head on pooled features Grad-CAM is CAM up to a constant."""
    torch.manual_seed(0)
    encoder = ImageEncoder("test_efficientnet", {}, 14).eval()
    features = torch.randn(2, encoder.num_features, 3, 4).relu()
    maps = grad_cam(encoder, features, [1, 5])
    cam = torch.einsum("fc,vchw->fvhw", encoder.findings.weight[[1, 5]], features).relu().detach().numpy()
    cells = 2 * 3 * 4
    np.testing.assert_allclose(maps * cells, cam, atol=1e-4)
