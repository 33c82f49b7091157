"""Speed of R2GenCMN at the full published size, as a converted checkpoint has it.

The weights are random, so no report ends early: each has the 60 ids of the published setting for IU X-Ray, searched
with three beams. A round starts from pixels in memory: image encoder, visual encoder, memory, search.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import GenerationConfig

from rrg.decoding.beam_search import KEEP_PLACES
from rrg.decoding.search import search
from rrg.layers.image_encoder import ImageEncoder
from rrg.models.r2gen_cmn import R2GenCMN, R2GenCMNConfig

VOCABULARY = 761
"""Words of the published vocabulary of IU X-Ray."""
THREADS = (1, 2)
BATCHES = (1, 16)
ENDS = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)


def published_model() -> R2GenCMN:
    """The model with seeded random weights, prepared for a CPU as a loaded one is."""
    torch.manual_seed(0)
    model = R2GenCMN(R2GenCMNConfig(vocab_size=VOCABULARY, **ENDS)).eval()
    settings = GenerationConfig(num_beams=3, length_penalty=0.0, max_length=60, early_stopping=False, **ENDS)
    setattr(settings, KEEP_PLACES, True)
    model.generation_config = settings
    encoder: ImageEncoder = model.image_encoder
    encoder.fold_batch_norms()
    encoder.split_early_layers()
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@torch.inference_mode()
def measure_published(seconds: Callable[[Callable[[], object]], float]) -> dict[str, float]:
    """Label -> seconds a report, and its two parts. `seconds` times a function."""
    model, before = published_model(), torch.get_num_threads()
    size, views = model.config.image_size, model.config.num_views
    figures: dict[str, float] = {}
    try:
        for threads in THREADS:
            torch.set_num_threads(threads)
            for batch in BATCHES:
                generator = torch.Generator().manual_seed(0)
                pixels = torch.randn(batch, views, 3, size, size, generator=generator)
                mask = torch.ones(batch, views, dtype=torch.bool)
                features = model.extract_features(pixels, mask)
                encoded = model.encode(view_mask=mask, features=features)
                parts = {
                    "image encoder": lambda p=pixels, m=mask: model.extract_features(p, m),
                    "visual encoder and memory": lambda f=features, m=mask: model.encode(view_mask=m, features=f),
                    "search, 3 beams, 60 ids": lambda e=encoded: search(model, e),
                }
                place = f"{threads} thread{'s' if threads > 1 else ''}, {batch} at a time"
                own = {f"{place}: {name}": seconds(part) / batch for name, part in parts.items()}
                figures |= {f"{place}: a report": sum(own.values())} | own
    finally:
        torch.set_num_threads(before)
    return figures


def render_published(figures: dict[str, float]) -> str:
    """A line for each figure, in ms a report."""
    width = max(map(len, figures))
    lines = [f"{label:<{width}}{1e3 * value:>10.1f} ms" for label, value in figures.items()]
    return "\n".join(["R2GenCMN at the full published size, random weights", *lines])
