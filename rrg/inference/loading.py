"""Load a folder of weights as a model that is ready to generate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from rrg.data.quality import QualityHeads
from rrg.data.tokenizer import ReportTokenizer
from rrg.data.transforms import ViewTransform, view_transform
from rrg.decoding.mbr import MBRConfig
from rrg.decoding.resources import NO_RESOURCES, MBRResources
from rrg.errors import InputError
from rrg.inference.quality import heads_for
from rrg.inference.training_statistics import TrainingStatistics, statistics_beside
from rrg.inference.weights import model_type, weights_digest
from rrg.layers.image_encoder import ImageEncoder
from rrg.models import ARCHITECTURES
from rrg.models.base import ReportModel

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model in evaluation mode with everything that its folder holds."""

    name: str
    """Name of the folder."""
    model: ReportModel
    tokenizer: ReportTokenizer
    weights_sha256: str
    mbr_resources: MBRResources = NO_RESOURCES
    """What MBR decoding needs beside the weights."""
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


def resolved(folder: Path | str, revision: str | None = None) -> tuple[Path, str]:
    """The local folder of a folder or hub id, and the name of the model; the files of a hub id are downloaded once.

    Raises InputError when it is neither.
    """
    if Path(folder).is_dir():
        return Path(folder), Path(folder).resolve().name
    if not _HUB_ID.fullmatch(str(folder)):
        raise InputError(f"There is no folder {folder}. Name a folder of weights, or a model of the hub as owner/name.")
    try:
        return Path(snapshot_download(str(folder), revision=revision)), str(folder).split("/")[-1]
    except (OSError, ValueError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"There is no folder {folder}, and the hub does not give a model of this name ({reason})."
        ) from error


def load_model(
    folder: Path | str,
    device: str | None = None,
    image_encoder: ImageEncoder | None = None,
    revision: str | None = None,
) -> LoadedModel:
    """Load weights/NAME, or a model of the hub.

    Args:
        folder: The folder of weights, or a hub id (owner/name).
        device: A torch device; by default the GPU where there is one.
        image_encoder: The image encoder of another model with the same `image_encoder_file`, to share in RAM.
        revision: Branch, tag or commit of a hub id.

    Raises:
        InputError: the folder holds no model of a known architecture, or a file is missing.
    """
    folder, name = resolved(folder, revision)
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
    resources = MBRResources.from_pretrained(folder, MBRConfig.from_generation_config(model.generation_config))
    tokenizer = ReportTokenizer.from_pretrained(folder)
    shared = model.config.image_encoder_file
    return LoadedModel(
        name,
        model,
        tokenizer,
        weights_digest(folder),
        resources,
        statistics_beside(folder),
        heads_for(folder / shared if shared else None, view_transform(model.config)),
    )
