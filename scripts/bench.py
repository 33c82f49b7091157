"""Benchmark of the models with weights on this machine: `make bench`, or python scripts/bench.py --help.

Reports are decoded by beam search with a model's generation settings, and as the model is bundled (MBR decoding). Each
figure is the median of --repeats rounds over the same studies, after a warm-up round. Compare only figures of one
machine, one number of threads and little other load.
"""

from __future__ import annotations

import copy
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import tyro
from bench_published import measure_published, render_published
from bench_start import measure_start, render_start
from torch import Tensor

from rrg.data.annotation import read_annotation
from rrg.data.batches import StudyDataset, collate
from rrg.data.phantom import make_phantom
from rrg.data.studies import Study
from rrg.decoding.search import search, without_mbr
from rrg.errors import InputError
from rrg.inference.cpu import configure_cpu
from rrg.inference.library import ModelLibrary
from rrg.inference.reporter import Reporter
from rrg.models.outputs import ImageFeatures
from rrg.ui.settings import Settings

BATCH = 16
ROWS = {
    "reports_per_second_batch_1": "beams: reports a second, one at a time",
    "reports_per_second_batch_16": "beams: reports a second, 16 at a time",
    "as_bundled_per_second_batch_1": "as bundled: reports a second, one at a time",
    "as_bundled_per_second_batch_16": "as bundled: reports a second, 16 at a time",
    "report_and_maps_ms_p50": "as bundled: report and all its maps, median ms",
    "report_and_maps_ms_max": "as bundled: report and all its maps, slowest ms",
    "image_encoder_ms": "image encoder, ms a study",
    "visual_encoder_ms": "visual encoder, ms a study",
    "decoder_ms": "decoder with its beams, ms a report",
    "maps_ms": "maps of a report just written, ms",
    "training_step_ms": f"training step on features, batch {BATCH}, ms",
    "peak_memory_mb": "peak memory of the process so far, MB",
}
"""Figure -> its label in the table."""


def bench(
    data: Path | None = None,
    model: str | None = None,
    studies: int = BATCH,
    size: int = 1024,
    threads: int | None = None,
    repeats: int = 3,
    published: bool = True,
    json: Path | None = None,
) -> None:
    """Measure models and print a table.

    Args:
        data: Folder with annotation.json and images; without it, synthetic studies.
        model: One name that `python -m rrg models` lists; without it, all that have weights.
        studies: How many studies, each with a report and, in synthetic ones, both views.
        size: Side of the synthetic images in pixels.
        threads: Threads of torch; its own default without it.
        repeats: Counted rounds.
        published: Also R2GenCMN at the full published size, with 1 and 2 threads, on a CPU.
        json: Also write the figures to this file.
    """
    configure_cpu()
    if threads is not None:
        torch.set_num_threads(threads)
    selected = _select_studies(data, studies, size)
    library = ModelLibrary(Settings.from_env().weights)
    names = [info.name for info in library.list() if info.available] if model is None else [model]
    best = {info.name for info in library.list() if info.best}
    start = measure_start(sorted(names, key=lambda name: name not in best))  # now, while this process is small
    figures = {name: measure(library.reporter(name), selected, repeats) for name in names}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    setting = {
        "device": device,
        "threads": torch.get_num_threads(),
        "studies": len(selected),
        "data": data.name if data else f"synthetic, {size} pixels",
        "repeats": repeats,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    print(", ".join(f"{name}: {value}" for name, value in setting.items()))
    print(render(figures))
    print(render_start(start, len(names)))
    full_size: dict[str, float] = {}
    if published and not torch.cuda.is_available():
        full_size = measure_published(lambda work: _seconds(work, repeats))
        print(render_published(full_size))
    if json is not None:
        _save(json, {"setting": setting, "start": start, "models": figures, "published": full_size})


def measure(reporter: Reporter, studies: Sequence[Study], repeats: int) -> dict[str, float]:
    """Every figure of one model."""
    model = reporter.model
    tensors = collate([_images(reporter, study) for study in studies])
    pixel_values = tensors["pixel_values"].to(model.device, model.dtype)
    view_mask = tensors["view_mask"].to(model.device)
    masks = view_mask.split(1)

    @torch.inference_mode()
    def features() -> list[ImageFeatures]:
        return [model.extract_features(*pair) for pair in zip(pixel_values.split(1), masks, strict=True)]

    cached = features()

    @torch.inference_mode()
    def encode() -> list:
        return [model.encode(view_mask=mask, features=maps) for mask, maps in zip(masks, cached, strict=True)]

    encoded = encode()

    def explained(study: Study) -> tuple[float, float]:
        """ms of the report and of its maps."""
        started = time.perf_counter()
        report = reporter.report(study)
        written = time.perf_counter()
        reporter.explain(study, report)
        return 1e3 * (written - started), 1e3 * (time.perf_counter() - written)

    count = len(studies)

    def speeds() -> tuple[float, float]:
        """Seconds a report, one at a time and in batches."""
        alone = _seconds(lambda: [reporter.report(study) for study in studies], repeats)
        return alone / count, _seconds(lambda: list(reporter.reports(studies, BATCH)), repeats) / count

    bundled = speeds()
    generation_config = model.generation_config
    model.generation_config = without_mbr(generation_config)  # type: ignore[arg-type]
    beams = speeds()
    model.generation_config = generation_config
    both = [explained(study) for _ in range(repeats) for study in studies]
    return {
        "reports_per_second_batch_1": 1 / beams[0],
        "reports_per_second_batch_16": 1 / beams[1],
        "as_bundled_per_second_batch_1": 1 / bundled[0],
        "as_bundled_per_second_batch_16": 1 / bundled[1],
        "report_and_maps_ms_p50": statistics.median(report + maps for report, maps in both),
        "report_and_maps_ms_max": max(report + maps for report, maps in both),
        "image_encoder_ms": 1e3 * _seconds(features, repeats) / count,
        "visual_encoder_ms": 1e3 * _seconds(encode, repeats) / count,
        "decoder_ms": 1e3 * _seconds(lambda: [search(model, x) for x in encoded], repeats) / count,
        "maps_ms": statistics.median(maps for _, maps in both),
        "training_step_ms": 1e3
        * _seconds(
            _training_step(reporter, ImageFeatures.concatenate(cached).feature_maps, view_mask, studies), repeats
        ),
        "peak_memory_mb": _peak_memory() / 2**20,
    }


def render(figures: dict[str, dict[str, float]]) -> str:
    """A row for each figure, a column for each model."""
    width = max(map(len, ROWS.values()))
    lines = [" " * width + "".join(f"{name:>14}" for name in figures)]
    for key, label in ROWS.items():
        lines.append(f"{label:<{width}}" + "".join(f"{column[key]:>14.4g}" for column in figures.values()))
    return "\n".join(lines)


def _select_studies(data: Path | None, count: int, size: int) -> list[Study]:
    if data is None:
        return [make_phantom(seed, size).study for seed in range(count)]
    studies = [study for study in read_annotation(data) if study.report][:count]
    if not studies:
        raise InputError(f"{data} has no study with a report. The training step needs one.")
    return studies


def _images(reporter: Reporter, study: Study) -> dict[str, Tensor]:
    return StudyDataset([study], reporter.transform, num_views=reporter.model.config.num_views).image_item(0)


def _training_step(
    reporter: Reporter, features: Tensor, view_mask: Tensor, studies: Sequence[Study]
) -> Callable[[], None]:
    """One step of AdamW on a copy of the model, whose image encoder is frozen as in `make train`."""
    model = copy.deepcopy(reporter.model).float().train()
    model.image_encoder.requires_grad_(False)
    dataset = StudyDataset(studies, reporter.transform, reporter.tokenizer)
    rows = [i % len(studies) for i in range(BATCH)]
    items = dataset.text_items()
    batch = {name: value.to(model.device) for name, value in collate([items[i] for i in rows]).items()}
    batch |= {"features": features[rows].float(), "view_mask": view_mask[rows]}
    optimizer = torch.optim.AdamW(parameter for parameter in model.parameters() if parameter.requires_grad)

    def step() -> None:
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()

    return step


def _seconds(work: Callable[[], object], repeats: int) -> float:
    """Median seconds of `work`; it ran once before."""
    durations = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations[1:])


def _peak_memory() -> int:
    """Bytes; Linux counts in kilobytes, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _save(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        tyro.cli(bench, description=__doc__)
    except InputError as error:
        sys.exit(str(error))
