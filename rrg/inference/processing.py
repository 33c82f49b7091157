"""Image processor and processor in the form of transformers: images to inputs of a model, its ids to a report."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from transformers import BatchFeature, ProcessorMixin
from transformers.image_processing_utils import BaseImageProcessor

from rrg.data.text import detokenize
from rrg.data.transforms import TRANSFORMS
from rrg.decoding.sampling import study_seed
from rrg.errors import InputError

ImageInput = Image.Image | np.ndarray | str | Path
"""One radiograph: a picture, an array [H,W] or [H,W,3] of 8 bits, or the path of an 8-bit picture."""
Studies = ImageInput | Sequence[ImageInput] | Sequence[Sequence[ImageInput]]


class ReportImageProcessor(BaseImageProcessor):
    """Radiographs to `pixel_values`, `view_mask` and `seeds`, the same as `rrg.Reporter` makes of the same pixels.

    The first image of a study is the frontal one, the second the lateral. DICOM and pictures of 16 bits are read by
    `rrg.data.studies.study_of_files` and `rrg.Reporter`.
    """

    model_input_names = ["pixel_values", "view_mask", "seeds"]

    def __init__(
        self,
        image_size: int = 224,
        image_mean: Sequence[float] = (0.485, 0.456, 0.406),
        image_std: Sequence[float] = (0.229, 0.224, 0.225),
        num_views: int = 2,
        pixels: str = "float",
        **kwargs: Any,
    ):
        """The fields of the model's configuration with these names."""
        super().__init__(**kwargs)
        self.image_size, self.num_views, self.pixels = image_size, num_views, pixels
        self.image_mean, self.image_std = list(image_mean), list(image_std)

    @classmethod
    def of_config(cls, config: Any) -> ReportImageProcessor:
        """The image processor of a model."""
        return cls(config.image_size, config.image_mean, config.image_std, config.num_views, config.pixels)

    def to_dict(self) -> dict[str, Any]:
        """The fields that are saved."""
        names = ("image_size", "image_mean", "image_std", "num_views", "pixels", "auto_map")
        saved = {name: getattr(self, name) for name in names if hasattr(self, name)}
        return {"image_processor_type": type(self).__name__, **saved}

    def __call__(self, images: Studies, return_tensors: str = "pt", **_: Any) -> BatchFeature:
        """One image, one study (a list of images), or several studies (a list of lists) -> the model's inputs.

        Returns:
            pixel_values [B,V,3,S,S], view_mask [B,V] and seeds [B], from which the sampling of a report follows.

        Raises:
            InputError: a study has no image, or an image is not one of 8 bits.
        """
        return self.preprocess(images, return_tensors)

    def preprocess(self, images: Studies, return_tensors: str = "pt", **_: Any) -> BatchFeature:  # type: ignore[override]
        """As calling the processor."""
        studies = nested(images)
        size, views = self.image_size, self.num_views
        transform = TRANSFORMS[self.pixels](size, tuple(self.image_mean), tuple(self.image_std))
        pixel_values = torch.zeros(len(studies), views, 3, size, size)
        view_mask = torch.zeros(len(studies), views, dtype=torch.bool)
        seeds = []
        for i, study in enumerate(studies):
            if not study:
                raise InputError("A study has no image. Give it a frontal radiograph and, if there is one, a lateral.")
            read = [grey_values(image) for image in study[:views]]
            for slot, grey in enumerate(read):
                pixel_values[i, slot] = transform.of_pixels(grey)
                view_mask[i, slot] = True
            seeds.append(study_seed([hashlib.sha256(grey.data).hexdigest() for grey in read]))
        inputs = {"pixel_values": pixel_values, "view_mask": view_mask, "seeds": torch.tensor(seeds)}
        return BatchFeature(inputs, tensor_type=return_tensors)


class ReportProcessor(ProcessorMixin):
    """Image processor and tokenizer of a model."""

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, **kwargs: Any):
        super().__init__(image_processor, tokenizer, **kwargs)

    def __call__(
        self, images: Studies | None = None, text: str | Sequence[str] | None = None, **kwargs: Any
    ) -> BatchFeature:
        """The inputs of `generate`. The models read no prompt: `text` is there for pipelines and may be empty.

        As many texts as images make each image a study of its own; otherwise see `ReportImageProcessor`.

        Raises:
            InputError: there is no image, or a prompt.
        """
        if images is None:
            raise InputError("There is no image. Give a frontal radiograph and, if there is one, a lateral.")
        texts = [text] if isinstance(text, str) else list(text or ())
        if any(texts):
            raise InputError("The models read images alone and no prompt. Leave the text empty.")
        if isinstance(text, list | tuple) and isinstance(images, list | tuple) and len(text) == len(images):
            images = [image if isinstance(image, list | tuple) else [image] for image in images]  # type: ignore[misc]
        inputs = self.image_processor(images, **kwargs)
        start = torch.full((len(inputs["seeds"]), 1), self.tokenizer.bos_token_id)
        return BatchFeature({**inputs, "decoder_input_ids": start}, tensor_type="pt")

    def batch_decode(self, ids: Tensor | Sequence[Sequence[int]], **_: Any) -> list[str]:
        """Ids [B,T] of `generate` -> readable reports, as those of `rrg.Reporter`."""
        rows = ids.tolist() if isinstance(ids, Tensor) else ids
        return [detokenize(self.tokenizer.decode_words(row))[0] for row in rows]

    def decode(self, ids: Tensor | Sequence[int], **_: Any) -> str:
        """Ids [T] of one report -> the report."""
        return self.batch_decode([ids.tolist() if isinstance(ids, Tensor) else ids])[0]

    def post_process_image_text_to_text(self, generated_outputs: Any, **_: Any) -> list[str]:
        """As `batch_decode`: the name that a pipeline calls."""
        return self.batch_decode(generated_outputs)


def nested(images: Studies) -> list[list[ImageInput]]:
    """Studies as lists of images."""
    if not isinstance(images, list | tuple):
        return [[images]]  # type: ignore[list-item]
    if any(isinstance(image, list | tuple) for image in images):
        return [list(study) for study in images]  # type: ignore[arg-type]
    return [list(images)]  # type: ignore[arg-type]


def grey_values(image: ImageInput) -> np.ndarray:
    """A radiograph as float32 [H,W] in [0, 1]. Raises InputError for values of more than 8 bits."""
    if isinstance(image, str | Path):
        with Image.open(image) as opened:
            opened.load()
            image = opened
    if isinstance(image, Image.Image):
        if image.mode.startswith(("I", "F")):
            raise InputError("This picture has more than 8 bits. Read it with rrg.data.studies.study_of_files.")
        image = ImageOps.exif_transpose(image)
        image = np.asarray(image if image.mode in ("L", "RGB") else image.convert("L" if image.mode == "1" else "RGB"))
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise InputError(
            f"An image is {image.dtype} {image.shape}. Give a picture or an array [H,W] or [H,W,3] of 8 bits."
        )
    if image.ndim == 3:
        equal = (image == image[..., :1]).all()
        image = image[..., 0] if equal else np.asarray(Image.fromarray(image).convert("L"))
    return np.ascontiguousarray(image * np.float32(1 / 255))
