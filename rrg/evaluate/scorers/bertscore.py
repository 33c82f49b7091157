"""BERTScore (Zhang et al., ICLR 2020): greedy matching of the contextual embeddings of two texts.

Each token is matched with the most similar token of the other text by cosine. Precision is the mean over the report's
tokens, recall over the reference's; the tokens at both ends that every text has are matched with, but not counted. No
IDF weights. The figures equal those of the package bert-score, which fails on an empty text with transformers 5.

Figures of different models, layers or rescalings cannot be compared: the description names all three. Rescaling
(x - b) / (1 - b) by a baseline b spreads the scores and changes no order.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from rrg.errors import InputError
from rrg.evaluate.significance import Measure, mean_measure

LAYERS = {
    "bert-base-uncased": 9,
    "bert-large-uncased": 18,
    "distilbert-base-uncased": 5,
    "roberta-base": 10,
    "roberta-large": 17,
    "scibert_scivocab_uncased": 8,
    "deberta-xlarge-mnli": 40,
}
"""Model -> layer that correlated best with human judgements on WMT16, as bert-score has it; by the end of its id."""
METRICS = ("BERTScore-P", "BERTScore-R", "BERTScore-F1")
LONGEST = 512
"""Tokens of a text that are scored."""
_SPACE_BEFORE = ("roberta", "gpt2")
"""Tokenizers for which a word at the start of a text differs from one inside it, unless a space precedes."""
_STUDIES = 32
"""Studies whose texts are embedded together."""


class BertScorer:
    """BERTScore by one layer of a model."""

    group = "bertscore"
    columns = ("BERTScore-F1",)

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        description: str,
        baseline: np.ndarray | None = None,
    ):
        """`model` ends with the layer to use; `baseline` is float [3], of precision, recall and F1, or None."""
        self._model, self._tokenizer, self.description, self._baseline = model.eval(), tokenizer, description, baseline
        positions = getattr(model.config, "max_position_embeddings", LONGEST)
        self._longest = min(tokenizer.model_max_length, positions, LONGEST)
        self._prefix = " " if model.config.model_type in _SPACE_BEFORE else ""
        vocabulary = tokenizer.get_vocab()
        self._ends = {vocabulary[token] for token in (tokenizer.cls_token, tokenizer.sep_token) if token in vocabulary}

    @classmethod
    def from_pretrained(
        cls, name: Path | str, layer: int | None = None, baseline: Path | str | None = None, device: str | None = None
    ) -> BertScorer:
        """Load an encoder from a folder or the hub.

        Args:
            name: A folder, or a hub id such as roberta-large.
            layer: Number of layers to use, from 1; by default that of `LAYERS`, else all.
            baseline: Table of baselines of the package bert-score: one row a layer, with the columns LAYER, P, R, F.
            device: A torch device; by default the GPU where there is one.

        Raises InputError for a model, a layer or a table that cannot be used.
        """
        try:
            config = AutoConfig.from_pretrained(str(name))
            if config.is_encoder_decoder:
                raise InputError(f"{name} has an encoder and a decoder. Name an encoder such as roberta-large.")
            layers = int(config.num_hidden_layers or 0)
            used = layer if layer is not None else LAYERS.get(str(name).rstrip("/").split("/")[-1], layers)
            if not 1 <= used <= layers:
                raise InputError(f"{name} has {layers} layers. Choose --bertscore-layer from 1 to {layers}.")
            config.num_hidden_layers = used  # the layers above are not needed
            model = AutoModel.from_pretrained(str(name), config=config)
            tokenizer = AutoTokenizer.from_pretrained(str(name))
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"BERTScore cannot load {name} ({reason}). Name a folder or a hub id.") from error
        rescaling = "not rescaled" if baseline is None else f"rescaled by {Path(baseline).name}"
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        model.to(place)
        known = Path(name).resolve().name if Path(name).is_dir() else str(name)
        return cls(
            model,
            tokenizer,
            f"{known}, layer {used} of {layers}, no IDF, {rescaling}",
            None if baseline is None else _read_baseline(Path(baseline), used),
        )

    def measures(
        self, systems: Mapping[str, Sequence[str]], references: Sequence[str]
    ) -> dict[str, dict[str, Measure]]:
        """System -> metric -> measure."""
        rows: dict[str, list[np.ndarray]] = {name: [] for name in systems}
        for start in tqdm(range(0, len(references), _STUDIES), desc="BERTScore", disable=None):
            part = slice(start, start + _STUDIES)
            # Embedded once: a constant system has the same text for every study.
            texts = [*references[part], *(text for own in systems.values() for text in own[part])]
            embedded = self._embed(list(dict.fromkeys(texts)))
            for name, own in systems.items():
                pairs = zip(own[part], references[part], strict=True)
                rows[name].extend(_scores(embedded[report], embedded[reference]) for report, reference in pairs)
        found = {}
        for name, scores in rows.items():
            values = np.array(scores).reshape(-1, len(METRICS))
            if self._baseline is not None:
                values = (values - self._baseline) / (1 - self._baseline)
            found[name] = {metric: mean_measure(values[:, i]) for i, metric in enumerate(METRICS)}
        return found

    @torch.inference_mode()
    def _embed(self, texts: Sequence[str]) -> dict[str, tuple[Tensor, Tensor]]:
        """Text -> unit embeddings of its tokens, float32 [T, D], and which of them count, bool [T]."""
        found: dict[str, tuple[Tensor, Tensor]] = {}
        ids = {text: self._ids(text) for text in texts}
        order = sorted(texts, key=lambda text: len(ids[text]))
        for start in range(0, len(order), _STUDIES):
            batch = order[start : start + _STUDIES]
            longest = max(len(ids[text]) for text in batch)
            pad = self._tokenizer.convert_tokens_to_ids(str(self._tokenizer.pad_token or self._tokenizer.eos_token))
            rows = torch.tensor([[*ids[text], *[pad] * (longest - len(ids[text]))] for text in batch])  # [B,T]
            lengths = torch.tensor([len(ids[text]) for text in batch])
            mask = (torch.arange(longest) < lengths[:, None]).long()  # [B,T]
            place = self._model.device
            states = self._model(input_ids=rows.to(place), attention_mask=mask.to(place)).last_hidden_state.float()
            units = torch.nn.functional.normalize(states, dim=-1).cpu()  # [B,T,D]
            for text, unit in zip(batch, units, strict=True):
                counted = torch.tensor([i not in self._ends for i in ids[text]])
                found[text] = (unit[: len(ids[text])], counted)
        return found

    def _ids(self, text: str) -> list[int]:
        text = text.strip()
        encoded = self._tokenizer(self._prefix + text if text else "", truncation=True, max_length=self._longest)
        return list(encoded["input_ids"])


def _scores(report: tuple[Tensor, Tensor], reference: tuple[Tensor, Tensor]) -> np.ndarray:
    """Precision, recall and F1 [3] of two embedded texts; 0 where one of them is empty."""
    (units, counted), (other, other_counted) = report, reference
    if not counted.any() or not other_counted.any():
        return np.zeros(len(METRICS))
    similarity = units @ other.T  # [T,S]
    precision = float(similarity.max(dim=1).values[counted].mean())
    recall = float(similarity.max(dim=0).values[other_counted].mean())
    both = precision + recall
    return np.array([precision, recall, 2 * precision * recall / both if both else 0.0])


def _read_baseline(path: Path, layer: int) -> np.ndarray:
    """The baselines [3] of one layer."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            text = file.read()
        rows = list(csv.reader(text.splitlines(), delimiter="\t" if "\t" in text else ","))
        found = next(row for row in rows[1:] if row and int(row[0]) == layer)
        values = np.array([float(cell) for cell in found[1:4]])
    except (OSError, ValueError, StopIteration, IndexError) as error:
        raise InputError(
            f"{path} has no baseline of layer {layer}. Give the table of the model (LAYER, P, R, F) from bert-score."
        ) from error
    if values.shape != (3,):
        raise InputError(f"{path} does not have the columns LAYER, P, R, F.")
    return values
