"""BERTScore on a tiny random encoder, against the package bert-score and against sums by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer, T5Config, T5Model

from rrg.errors import InputError
from rrg.evaluate.scorers.bertscore import METRICS, BertScorer

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "heart",
    "is",
    "large",
    "lungs",
    "are",
    "clear",
    ".",
    "no",
]
REFERENCES = ["The heart is large.", "the lungs are clear .", "No heart.", "the the the heart is large and clear"]
REPORTS = ["the heart is clear .", "The lungs are clear.", "lungs", "no lungs are large ."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder") / "tiny-bert"
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=40,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(path)
    BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)}, model_max_length=40).save_pretrained(path)
    return path


def values(scorer: BertScorer, reports: list[str], references: list[str]) -> np.ndarray:
    """Scores [N, 3] of each report."""
    found = scorer.measures({"mine": reports}, references)["mine"]
    return np.stack([found[metric].per_study[:, 0] for metric in METRICS], axis=1)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_scores_are_those_of_the_package_bert_score(folder: Path, layer: int) -> None:
    package = pytest.importorskip("bert_score", reason="needs the package bert-score, for comparison")
    theirs = package.BERTScorer(model_type=str(folder), num_layers=layer, device="cpu", nthreads=0)
    expected = torch.stack(theirs.score(REPORTS, REFERENCES), dim=1).numpy()
    scorer = BertScorer.from_pretrained(folder, layer, device="cpu")
    assert values(scorer, REPORTS, REFERENCES) == pytest.approx(expected, abs=1e-5)
    assert len(np.unique(expected.round(4))) > 6, "the texts get different scores"


def test_rescaling_is_that_of_the_package_bert_score(folder: Path, tmp_path: Path) -> None:
    package = pytest.importorskip("bert_score", reason="needs the package bert-score, for comparison")
    table = tmp_path / "baseline.tsv"
    table.write_text("LAYER,P,R,F\n0,0.1,0.1,0.1\n1,0.2,0.25,0.3\n2,0.5,0.4,0.45\n3,0.6,0.6,0.6\n")
    theirs = package.BERTScorer(
        model_type=str(folder),
        num_layers=2,
        device="cpu",
        nthreads=0,
        lang="en",
        rescale_with_baseline=True,
        baseline_path=str(table),
    )
    expected = torch.stack(theirs.score(REPORTS, REFERENCES), dim=1).numpy()
    scorer = BertScorer.from_pretrained(str(folder), 2, str(table), device="cpu")
    assert values(scorer, REPORTS, REFERENCES) == pytest.approx(expected, abs=1e-5)
    assert scorer.description == "tiny-bert, layer 2 of 3, no IDF, rescaled by baseline.tsv"


def test_precision_and_recall_are_the_means_of_the_best_matches(folder: Path) -> None:
    """By hand, on hidden states that transformers gives."""
    model = BertModel.from_pretrained(folder).eval()
    tokenizer = BertTokenizer.from_pretrained(folder)

    def unit(text: str) -> torch.Tensor:
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states[2][0]
        return states / states.norm(dim=-1, keepdim=True)

    report, reference = unit("the heart is clear ."), unit("no heart .")
    cosines = [[float(a @ b) for b in reference] for a in report]
    precision = np.mean([max(row) for row in cosines[1:-1]])
    recall = np.mean([max(row[j] for row in cosines) for j in range(1, len(reference) - 1)])
    found = values(BertScorer.from_pretrained(folder, 2, device="cpu"), ["the heart is clear ."], ["no heart ."])[0]
    assert found == pytest.approx([precision, recall, 2 * precision * recall / (precision + recall)], abs=1e-5)


def test_equal_texts_score_1_and_an_empty_one_0(folder: Path) -> None:
    scorer = BertScorer.from_pretrained(folder, device="cpu")
    scores = values(scorer, ["the heart", "", "  "], ["The   heart", "no", "the heart"])
    assert scores == pytest.approx(np.array([[1, 1, 1], [0, 0, 0], [0, 0, 0]]), abs=1e-6)


def test_batches_and_other_systems_change_no_score(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = BertScorer.from_pretrained(folder, device="cpu")
    alone = values(scorer, REPORTS, REFERENCES)
    monkeypatch.setattr("rrg.evaluate.scorers.bertscore._STUDIES", 3)
    found = scorer.measures({"other": REFERENCES, "mine": REPORTS}, REFERENCES)
    assert found["mine"]["BERTScore-F1"].per_study[:, 0] == pytest.approx(alone[:, 2], abs=1e-5)
    assert found["other"]["BERTScore-F1"].value == pytest.approx(1)


def test_a_text_beyond_the_positions_is_cut(folder: Path) -> None:
    scorer = BertScorer.from_pretrained(folder, device="cpu")
    assert values(scorer, ["heart " * 100], ["heart " * 38]) == pytest.approx(1, abs=1e-5)


def test_the_description_names_model_layer_and_rescaling(folder: Path, tmp_path: Path) -> None:
    known = tmp_path / "distilbert-base-uncased"  # known by its name, with 5 of 6 layers
    config = BertConfig(vocab_size=14, hidden_size=32, num_hidden_layers=6, num_attention_heads=2, intermediate_size=32)
    BertModel(config).save_pretrained(known)
    BertTokenizer.from_pretrained(folder).save_pretrained(known)
    assert BertScorer.from_pretrained(folder).description == "tiny-bert, layer 3 of 3, no IDF, not rescaled"
    assert BertScorer.from_pretrained(known).description.startswith("distilbert-base-uncased, layer 5 of 6")


def test_what_cannot_be_used_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Choose --bertscore-layer from 1 to 3"):
        BertScorer.from_pretrained(folder, 4)
    with pytest.raises(InputError, match="Choose --bertscore-layer from 1 to 3"):
        BertScorer.from_pretrained(folder, 0)
    with pytest.raises(InputError, match="cannot load"):
        BertScorer.from_pretrained(tmp_path / "absent")
    with pytest.raises(InputError, match="has no baseline of layer 2"):
        BertScorer.from_pretrained(folder, 2, tmp_path / "absent.tsv")
    T5Model(T5Config(d_model=16, d_ff=16, num_layers=1, num_heads=1, d_kv=8, vocab_size=14)).save_pretrained(
        tmp_path / "t5"
    )
    with pytest.raises(InputError, match="an encoder and a decoder"):
        BertScorer.from_pretrained(tmp_path / "t5")
