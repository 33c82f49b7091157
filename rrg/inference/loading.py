"""Load a folder of weights as a model that is ready to generate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from rrg.data.quality import QualityHeads
from rrg.data.tokenizer import ReportTokenizer
from rrg.data.transforms import ViewTransform, view_transform
from rrg.decoding.mbr import MBRConfig
from rrg.decoding.ngrams import NgramFrequencies
from rrg.errors import InputError
from rrg.inference.quality import heads_for
from rrg.inference.training_statistics import TrainingStatistics, statistics_beside
from rrg.inference.weights import model_type, weights_digest
from rrg.layers.image_encoder import ImageEncoder
from rrg.models import ARCHITECTURES
from rrg.models.base import ReportModel


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model in evaluation mode with everything that its folder holds."""

    name: str
    """Name of the folder."""
    model: ReportModel
    tokenizer: ReportTokenizer
    weights_sha256: str
    ngram_frequencies: NgramFrequencies | None = None
    """Needed where the CIDEr weight of MBR decoding is above 0."""
    statistics: TrainingStatistics | None = None
    """Statistics of the training data, for badges; None where there is no file of them beside the folder."""
    quality: QualityHeads | None = None
    """The checks of the content of images; None where there are none for the model's image encoder."""

    @property
    def transform(self) -> ViewTransform:
        """The transform from a radiograph to the model's input."""
        return view_transform(self.model.config)


def tensor_bytes(module: torch.nn.Module) -> int:
    """Bytes of the parameters and buffers of a module."""
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))


def load_model(folder: Path | str, device: str | None = None, image_encoder: ImageEncoder | None = None) -> LoadedModel:
    """Load weights/NAME.

    Args:
        folder: The folder of weights.
        device: A torch device; by default the GPU where there is one.
        image_encoder: The image encoder of another model with the same `image_encoder_file`, to share in RAM.

    Raises:
        InputError: the folder holds no model of a known architecture, or a file is missing.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} holds no model: there is no config.json in it. Train one with train/train.py.")
    kind = model_type(folder)
    if kind not in ARCHITECTURES:
        raise InputError(f"{folder} holds a model of type {kind!r}. Known are: {', '.join(ARCHITECTURES)}.")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    # CPUs compute faster in single precision; half precision is for the files.
    dtype = torch.float16 if device == "cuda" else torch.float32
    model = ARCHITECTURES[kind].load().from_pretrained(folder, dtype=dtype)
    if image_encoder is None:
        model.image_encoder.fold_batch_norms()
        if device == "cpu":
            model.image_encoder.split_early_layers()
    else:
        model.image_encoder = image_encoder
    model = model.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    mbr = MBRConfig.from_generation_config(model.generation_config)
    frequencies = NgramFrequencies.from_pretrained(folder) if mbr is not None and mbr.cider_weight else None
    tokenizer = ReportTokenizer.from_pretrained(folder)
    shared = model.config.image_encoder_file
    return LoadedModel(
        folder.resolve().name,
        model,
        tokenizer,
        weights_digest(folder),
        frequencies,
        statistics_beside(folder),
        heads_for(folder / shared if shared else None, view_transform(model.config)),
    )
