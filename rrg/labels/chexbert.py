"""CheXbert: label the 14 findings of report texts by a BERT with one head a finding (Smit et al., EMNLP 2020).

The checkpoint is not part of this project: its authors give `chexbert.pth` on request. The forward pass, the reduction
of white space and the cut at 512 tokens are those of the published code (github.com/stanfordmlgroup/CheXbert): the
state of the first token goes through 13 linear heads of 4 classes and, for "No Finding", one of 2.

Like the authors' code, it labels an empty text too. The rules (`rrg.labels.findings`) call an empty text normal.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, BertConfig, BertModel, BertTokenizer, PreTrainedTokenizerBase

from rrg.errors import InputError
from rrg.labels.findings import FINDINGS, Status

CLASSES = (Status.BLANK, Status.PRESENT, Status.ABSENT, Status.UNCERTAIN)
"""Status of each class of a head. The head of "No Finding" has the first two."""
TOKENIZERS = ("bert-base-uncased", "google-bert/bert-base-uncased")
"""Names of the published tokenizer on the hub, today's and the one before."""
MAX_TOKENS = 512
_HEAD_SIZE = 64
"""Width of an attention head in every published size of BERT. The checkpoint does not hold the number of heads."""
_UNUSED = ("bert.pooler.", "bert.embeddings.position_ids")


class CheXbertLabeler:
    """Labels report texts by a CheXbert checkpoint."""

    def __init__(self, bert: BertModel, heads: nn.ModuleList, tokenizer: PreTrainedTokenizerBase, name: str):
        """Use loaded parts; `from_file` loads them. `heads` are linear layers in the order of `FINDINGS`."""
        self._bert, self._heads, self._tokenizer = bert.eval(), heads.eval(), tokenizer
        self.name = name

    @classmethod
    def from_file(
        cls,
        path: Path | str,
        tokenizer: PreTrainedTokenizerBase | Path | str | None = None,
        device: str | None = None,
    ) -> CheXbertLabeler:
        """Load a checkpoint in the published format, without running code that it may contain.

        Args:
            path: `chexbert.pth`: a state dict, or a dict with one in `model_state_dict`.
            tokenizer: The tokenizer of bert-base-uncased: an object, a folder, a `vocab.txt`, or a hub id. By default
                it is taken from the hub's cache on this machine; nothing is downloaded then.
            device: A torch device; by default the GPU where there is one.

        Raises InputError for a file of another format, and for a tokenizer that is missing or does not fit.
        """
        path = Path(path)
        state = _read_state(path)
        words = _tokenizer(tokenizer)
        bert, heads = _model(state, path)
        if len(words) != bert.config.vocab_size:
            raise InputError(
                f"The tokenizer has {len(words)} tokens and {path} has {bert.config.vocab_size}. "
                "Give the tokenizer of bert-base-uncased."
            )
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        nn.ModuleList([bert, heads]).to(place)
        return cls(bert, heads, words, f"CheXbert (sha256 {digest[:12]})")

    def label(self, texts: Sequence[str], batch_size: int = 32) -> list[tuple[Status, ...]]:
        """The status of each of the 14 findings, in the order of `FINDINGS`, for each text.

        "No Finding" is present or blank. Equal texts are labelled once. Texts of similar length share a batch.
        """
        ids = {text: self._ids(text) for text in dict.fromkeys(texts)}
        order = sorted(ids, key=lambda text: len(ids[text]))
        found: dict[str, tuple[Status, ...]] = {}
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            found.update(zip(batch, self._label([ids[text] for text in batch]), strict=True))
        return [found[text] for text in texts]

    def _ids(self, text: str) -> list[int]:
        ids = list(self._tokenizer(" ".join(text.split()), verbose=False)["input_ids"])
        return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]]

    @torch.inference_mode()
    def _label(self, batch: Sequence[list[int]]) -> Iterator[tuple[Status, ...]]:
        rows = [torch.tensor(ids) for ids in batch]
        padded = nn.utils.rnn.pad_sequence(rows, batch_first=True)  # 0 is [PAD]
        ids = padded.to(self._bert.device)  # [B,T]
        lengths = torch.tensor([len(row) for row in rows], device=ids.device)
        mask = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).long()  # [B,T]
        first = self._bert(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]  # [B,D]
        classes = torch.stack([head(first).argmax(-1) for head in self._heads], dim=1)  # [B,14]
        return (tuple(CLASSES[index] for index in row) for row in classes.tolist())


def _read_state(path: Path) -> dict[str, Tensor]:
    """The parameters of a checkpoint, without the prefix of DataParallel."""
    if not path.is_file():
        raise InputError(f"There is no {path}. Name the file chexbert.pth, which the authors of CheXbert give.")
    try:
        checkpoint: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read as a checkpoint of tensors ({reason}). Download it again.") from error
    if isinstance(checkpoint, Mapping) and isinstance(checkpoint.get("model_state_dict"), Mapping):
        checkpoint = checkpoint["model_state_dict"]
    if not isinstance(checkpoint, Mapping) or not all(isinstance(value, Tensor) for value in checkpoint.values()):
        raise InputError(f"{path} holds no state dict. Give chexbert.pth as its authors published it.")
    return {str(key).removeprefix("module."): value for key, value in checkpoint.items()}


def _model(state: Mapping[str, Tensor], path: Path) -> tuple[BertModel, nn.ModuleList]:
    """The BERT and the heads of a checkpoint; the sizes follow from the shapes of its tensors."""
    try:
        vocabulary, width = state["bert.embeddings.word_embeddings.weight"].shape
        positions = state["bert.embeddings.position_embeddings.weight"].shape[0]
        types = state["bert.embeddings.token_type_embeddings.weight"].shape[0]
        wide = state["bert.encoder.layer.0.intermediate.dense.weight"].shape[0]
        sizes = [tuple(state[f"linear_heads.{index}.weight"].shape) for index in range(len(FINDINGS))]
    except KeyError as error:
        raise InputError(f"{path} is no CheXbert checkpoint: it has no {error}.") from error
    expected = [(2 if name == "No Finding" else len(CLASSES), width) for name in FINDINGS]
    if sizes != expected or width % _HEAD_SIZE:
        raise InputError(f"{path} is no CheXbert checkpoint: its heads have the sizes {sorted(set(sizes))}.")
    layers = len({key.split(".")[3] for key in state if key.startswith("bert.encoder.layer.")})
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // _HEAD_SIZE,
        intermediate_size=wide,
        max_position_embeddings=positions,
        type_vocab_size=types,
    )
    bert = BertModel(config, add_pooling_layer=False)
    heads = nn.ModuleList([nn.Linear(inputs, outputs) for outputs, inputs in expected])
    model = nn.ModuleDict({"bert": bert, "linear_heads": heads})
    used = {key: value for key, value in state.items() if not key.startswith(_UNUSED)}
    try:
        model.load_state_dict(used)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is no CheXbert checkpoint ({reason}).") from error
    return bert, heads


def _tokenizer(source: PreTrainedTokenizerBase | Path | str | None) -> PreTrainedTokenizerBase:
    """The tokenizer that the user gives, or the published one from the hub's cache."""
    if isinstance(source, PreTrainedTokenizerBase):
        return source
    if source is None:
        for name in TOKENIZERS:
            try:
                return AutoTokenizer.from_pretrained(name, local_files_only=True)
            except (OSError, ValueError):
                continue
        raise InputError(
            "CheXbert needs the tokenizer of bert-base-uncased, which is not in the hub's cache of this machine. Name "
            f"its folder, its vocab.txt, or download it: hf download {TOKENIZERS[-1]} --include '*token*' 'vocab.txt' "
            "'config.json'"
        )
    if Path(source).is_file():
        return BertTokenizer(vocab=str(source))
    try:
        return AutoTokenizer.from_pretrained(str(source))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"There is no tokenizer {source} ({reason}). Name a folder, a vocab.txt or a hub id."
        ) from error
