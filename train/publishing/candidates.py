"""Candidates of MBR decoding for all studies of a split, sampled once and kept in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from rrg.data.files import replaced
from rrg.data.studies import Study
from rrg.decoding.mbr import MBRConfig, sample
from rrg.decoding.ngrams import Words
from rrg.errors import InputError
from rrg.inference.feature_cache import FeatureCache, sampling_seed
from rrg.inference.loading import LoadedModel

_SETS = 2
"""Sets of samples with different noise: what differs between them is no gain."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Samples of a model for several studies."""

    samples: tuple[tuple[tuple[Words, ...], ...], ...]
    """Set -> study -> samples."""
    probabilities: np.ndarray
    """Of the findings by the image classifier [studies, 14]."""


def candidates(loaded: LoadedModel, studies: Sequence[Study], cache: Path) -> Candidates:
    """Two sets of candidates by the settings of a model; from the file in `cache` if it holds them.

    The first set has the samples that the model decodes from. Raises InputError for a model that does not decode by
    MBR.
    """
    config = MBRConfig.from_generation_config(loaded.model.generation_config)  # type: ignore[arg-type]
    if config is None:
        raise InputError(f"The model {loaded.name} decodes by a search and has no candidates. Choose another one.")
    name = f"{loaded.name}-{loaded.weights_sha256[:16]}-{config.samples}-{config.temperature:g}-{len(studies)}.npz"
    path = cache / name
    if not path.is_file():
        ids, probabilities = _sample(loaded, studies, config)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, ids=ids, probabilities=probabilities)
    with np.load(path) as file:
        ids, probabilities = file["ids"], file["probabilities"]
    decode = loaded.tokenizer.decode_words
    words = tuple(tuple(tuple(tuple(decode(row)) for row in study) for study in of_set) for of_set in ids)
    return Candidates(words, probabilities)


@torch.inference_mode()
def _sample(loaded: LoadedModel, studies: Sequence[Study], config: MBRConfig) -> tuple[np.ndarray, np.ndarray]:
    """Ids int32 [sets, studies, samples, words], padded with the id of EOS, and probabilities [studies, 14]."""
    features, rows, probabilities = FeatureCache(), [], []
    settings = replace(config)
    for study in tqdm(studies, f"candidates of {loaded.name}", disable=None):
        radiographs = study.radiographs()
        (encoded,) = features.encode(loaded.model, loaded.transform, [radiographs])
        outputs = loaded.model.encode(view_mask=encoded.view_mask, features=encoded.features)
        assert outputs.finding_logits is not None
        seed = sampling_seed(radiographs, encoded.slots[0])
        rows.append([sample(loaded.model, outputs, [seed + i], settings)[0].cpu().numpy() for i in range(_SETS)])
        probabilities.append(outputs.finding_logits.float().sigmoid()[0].cpu().numpy())
    longest = max(of_set.shape[1] for row in rows for of_set in row)
    shape = (_SETS, len(studies), config.samples, longest)
    ids = np.full(shape, loaded.tokenizer.eos_token_id, np.int32)
    for study, row in enumerate(rows):
        for index, of_set in enumerate(row):
            ids[index, study, :, : of_set.shape[1]] = of_set
    return ids, np.stack(probabilities)
