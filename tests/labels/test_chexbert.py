"""The adapter of CheXbert on a random BERT of the published shape of keys, at a small size."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, BertTokenizer

from rrg.errors import InputError
from rrg.labels.chexbert import CheXbertLabeler
from rrg.labels.findings import FINDINGS, Status
from rrg.labels.labeler import label_vectors, load_labeler

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "heart", "is", "large", "lungs", "clear", ".", "no"]
TEXTS = ["The heart is large.", "The lungs are clear .", "", "no no no heart", "The   heart\nis large."]


class PublishedShape(nn.Module):
    """Modules with the names of the published `bert_labeler`, which give the key names of its state dict."""

    def __init__(self, layers: int = 2):
        super().__init__()
        config = BertConfig(
            vocab_size=len(WORDS),
            hidden_size=128,
            num_hidden_layers=layers,
            num_attention_heads=2,
            intermediate_size=96,
            initializer_range=0.6,  # so that texts get different labels
        )
        self.bert = BertModel(config)
        self.linear_heads = nn.ModuleList([nn.Linear(128, 4) for _ in range(13)] + [nn.Linear(128, 2)])


@pytest.fixture(scope="module")
def published() -> PublishedShape:
    torch.manual_seed(3)
    return PublishedShape().eval()


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(WORDS) + "\n")
    return path


@pytest.fixture
def checkpoint(published: PublishedShape, tmp_path: Path) -> Path:
    """As `torch.save` of the published training code: under DataParallel, with the state of the optimizer."""
    path = tmp_path / "chexbert.pth"
    state = {f"module.{key}": value for key, value in published.state_dict().items()}
    state["module.bert.embeddings.position_ids"] = torch.arange(512)[None]  # written by old versions of transformers
    torch.save({"model_state_dict": state, "optimizer_state_dict": {"state": {}}, "epoch": 4}, path)
    return path


def expected(model: PublishedShape, vocabulary: Path, text: str) -> list[int]:
    """The classes of one text, without padding, by the steps of the published `label.py`."""
    tokenizer = BertTokenizer(vocab=str(vocabulary))
    pieces = tokenizer.tokenize(" ".join(text.split()))
    ids = [2, *tokenizer.convert_tokens_to_ids(pieces), 3]
    ids = ids if len(ids) <= 512 else [*ids[:511], 3]
    with torch.no_grad():
        first = model.bert(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)))[0][:, 0, :]
        return [int(head(first).argmax(dim=1)) for head in model.linear_heads]


def test_labels_are_those_of_the_published_steps(published: PublishedShape, checkpoint: Path, vocabulary: Path) -> None:
    labeler = CheXbertLabeler.from_file(checkpoint, vocabulary, device="cpu")
    texts = [*TEXTS, "heart " * 600]
    names = [Status.BLANK, Status.PRESENT, Status.ABSENT, Status.UNCERTAIN]
    found = labeler.label(texts, batch_size=2)
    assert found == [tuple(names[i] for i in expected(published, vocabulary, text)) for text in texts]
    assert len(set(found)) > 2, "the random model tells texts apart"
    assert {status for row in found for status in row} == set(names)
    assert {row[FINDINGS.index("No Finding")] for row in found} <= {Status.BLANK, Status.PRESENT}


def test_vectors_count_uncertain_as_asked(checkpoint: Path, vocabulary: Path) -> None:
    labeler = load_labeler(str(checkpoint), str(vocabulary))
    statuses = labeler.label(TEXTS)
    for uncertain in (1.0, 0.0):
        vectors = label_vectors(labeler, TEXTS, uncertain)
        assert vectors.shape == (len(TEXTS), 14) and vectors.dtype == np.float32
        is_set = [[s is Status.PRESENT or (s is Status.UNCERTAIN and uncertain == 1) for s in row] for row in statuses]
        assert vectors.astype(bool).tolist() == is_set


def test_a_plain_state_dict_and_a_tokenizer_object_are_accepted(
    published: PublishedShape, checkpoint: Path, vocabulary: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain.pth"
    torch.save(published.state_dict(), plain)
    one = CheXbertLabeler.from_file(plain, BertTokenizer(vocab=str(vocabulary)))
    other = CheXbertLabeler.from_file(checkpoint, vocabulary)
    assert one.label(TEXTS) == other.label(TEXTS)
    assert one.name.startswith("CheXbert (sha256 ") and one.name != other.name, "the name tells the files apart"


def test_a_folder_with_a_tokenizer_is_accepted(checkpoint: Path, vocabulary: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tokenizer"
    BertTokenizer(vocab=str(vocabulary)).save_pretrained(folder)
    assert CheXbertLabeler.from_file(checkpoint, folder).label(TEXTS) == load_labeler(checkpoint, vocabulary).label(
        TEXTS
    )


class _Code:
    def __reduce__(self):
        return (print, ("code of the checkpoint ran",))


def test_code_in_a_checkpoint_does_not_run(
    vocabulary: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"model_state_dict": {"x": _Code()}}, path)
    with pytest.raises(InputError, match="cannot be read as a checkpoint of tensors"):
        CheXbertLabeler.from_file(path, vocabulary)
    path.write_bytes(pickle.dumps(_Code()))
    with pytest.raises(InputError):
        CheXbertLabeler.from_file(path, vocabulary)
    assert "ran" not in capsys.readouterr().out


def test_other_files_are_refused_with_the_reason(published: PublishedShape, vocabulary: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no"):
        CheXbertLabeler.from_file(tmp_path / "absent.pth", vocabulary)
    path = tmp_path / "other.pth"
    torch.save([1, 2], path)
    with pytest.raises(InputError, match="no state dict"):
        CheXbertLabeler.from_file(path, vocabulary)
    state = published.state_dict()
    torch.save({key: value for key, value in state.items() if "linear_heads.13" not in key}, path)
    with pytest.raises(InputError, match=r"linear_heads\.13"):
        CheXbertLabeler.from_file(path, vocabulary)
    torch.save({**state, "linear_heads.13.weight": torch.zeros(4, 128)}, path)
    with pytest.raises(InputError, match="its heads have the sizes"):
        CheXbertLabeler.from_file(path, vocabulary)
    torch.save({key: value for key, value in state.items() if "layer.1.output.dense.bias" not in key}, path)
    with pytest.raises(InputError, match="Missing key"):
        CheXbertLabeler.from_file(path, vocabulary)


def test_a_tokenizer_that_is_missing_or_does_not_fit_is_named(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = tmp_path / "short.txt"
    short.write_text("\n".join(WORDS[:-1]) + "\n")
    with pytest.raises(InputError, match="12 tokens and"):
        CheXbertLabeler.from_file(checkpoint, short)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no cache"))
    with pytest.raises(InputError, match="bert-base-uncased"):
        CheXbertLabeler.from_file(checkpoint)
