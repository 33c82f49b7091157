"""Models as transformers loads them: one folder or hub id, with what their reports need beside the weights.

`ReportGeneration` is a mixin before an architecture. With it `generate` writes the report of `rrg.Reporter`, and
`save_pretrained` writes a folder that loads anywhere.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import GenerationConfig
from transformers.utils.hub import cached_file

from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.mbr import MBRConfig, mbr_decode
from rrg.decoding.resources import NO_RESOURCES, RESOURCE_FILES, MBRResources
from rrg.decoding.sampling import study_seed
from rrg.decoding.search import drop_finished, without_mbr
from rrg.errors import InputError
from rrg.inference.processing import ReportImageProcessor, ReportProcessor
from rrg.models.base import HUB_ARGUMENTS

if TYPE_CHECKING:
    from rrg.models.base import ReportModel as _Base
else:
    _Base = object

_LIBRARY = ("do_sample", "num_return_sequences", "return_dict_in_generate", "output_scores", "output_logits")
"""Settings that the search of transformers serves."""
_SEARCH = ("num_beams", "length_penalty", "early_stopping", "max_new_tokens", "max_length", *_LIBRARY)
"""Arguments of `generate` that replace MBR decoding by a search."""
_OF_TRAINING = ("labels", "findings", "scene_graph", "input_ids", "decoder_input_ids", "attention_mask")
"""Inputs that generation does not use."""


class ReportGeneration(_Base):
    """Mixin: `from_pretrained`, `save_pretrained` and `generate` with tokenizer and what MBR decoding needs."""

    tokenizer: ReportTokenizer | None = None
    mbr_resources: MBRResources = NO_RESOURCES

    @classmethod
    def from_pretrained(cls, folder: str | Path, *args: Any, **kwargs: Any) -> Self:
        """`from_pretrained` of transformers for a folder of weights or a hub id.

        Without `dtype`, and with "auto", weights are in single precision where there is no GPU: half precision is for
        the files. Raises InputError where a file that the model needs is missing.
        """
        if kwargs.get("dtype") in (None, "auto"):
            kwargs["dtype"] = torch.float16 if torch.cuda.is_available() else torch.float32
        source = {name: kwargs[name] for name in HUB_ARGUMENTS if kwargs.get(name) is not None}
        model = super().from_pretrained(folder, *args, **kwargs)
        model.tokenizer = ReportTokenizer.from_pretrained(folder, **source)
        mbr = MBRConfig.from_generation_config(model.generation_config)
        options = {"_raise_exceptions_for_missing_entries": False, **source}
        paths = [cached_file(str(folder), name, **options) for name in RESOURCE_FILES]
        found = next((Path(path).parent for path in paths if path), Path(folder))
        model.mbr_resources = MBRResources.from_pretrained(found, mbr)
        return model

    def save_pretrained(self, save_directory: str | Path, *args: Any, **kwargs: Any) -> None:
        """Write weights with the image encoder, configuration, processor, and what decoding needs."""
        super().save_pretrained(save_directory, *args, **kwargs)
        if self.tokenizer is not None:
            ReportProcessor(ReportImageProcessor.of_config(self.config), self.tokenizer).save_pretrained(save_directory)
        self.mbr_resources.save_pretrained(Path(save_directory))

    @torch.no_grad()
    def generate(  # type: ignore[override]
        self,
        pixel_values: Tensor | None = None,
        view_mask: Tensor | None = None,
        seeds: Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """Ids [B,T] of the reports that `rrg.Reporter` writes, with BOS.

        Args:
            pixel_values: [B,V,3,S,S]
            view_mask: [B,V]; all views without it.
            seeds: [B], for MBR decoding; a processor gives them. Without them they follow from `pixel_values`.
            generation_config: In place of the model's.
            kwargs: `features` or `encoder_outputs` in place of the images; settings of `generate` of transformers. One
                that selects a search, such as `num_beams`, replaces MBR decoding.
        """
        inputs = {name: kwargs.pop(name, None) for name in ("features", "encoder_outputs")}
        if "custom_generate" in kwargs:  # a search of rrg.decoding, which comes back here
            return super().generate(generation_config=generation_config, **inputs, **kwargs)
        for name in _OF_TRAINING:
            kwargs.pop(name, None)
        encoded = inputs["encoder_outputs"]
        if encoded is None:
            encoded = self.encode(pixel_values, view_mask, inputs["features"])
        given = {name: value for name, value in kwargs.items() if value is not None}
        config: Any = copy.deepcopy(generation_config or self.generation_config)
        others = config.update(**given)
        mbr = MBRConfig.from_generation_config(config)
        settings: Any = without_mbr(config)
        if others or any(given.get(name) for name in _LIBRARY):
            return super().generate(encoder_outputs=encoded, generation_config=settings, **others)
        if mbr is None or any(given.get(name) for name in _SEARCH):
            return super().generate(encoder_outputs=encoded, generation_config=settings, custom_generate=drop_finished)
        if self.tokenizer is None:
            raise InputError("MBR decoding needs the tokenizer: load the model with from_pretrained.")
        ids = mbr_decode(
            self, encoded, mbr, self.tokenizer, self._seeds(seeds, pixel_values, encoded), self.mbr_resources
        ).ids
        return F.pad(ids, (1, 0), value=self.config.decoder_start_token_id)

    def _seeds(self, seeds: Tensor | None, pixel_values: Tensor | None, encoded: Any) -> list[int]:
        """One seed a study: those given, or those that follow from the images."""
        if seeds is not None:
            return [int(seed) for seed in seeds]
        values = encoded.last_hidden_state if pixel_values is None else pixel_values
        return [study_seed([bytes(study.float().cpu().contiguous().numpy().data).hex()]) for study in values]
