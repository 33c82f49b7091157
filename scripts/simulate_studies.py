"""Simulate a large data folder and measure how training starts on it: time, memory and images a second.

    python scripts/simulate_studies.py --data DIR --count 200000 --out runs/simulated
    python scripts/simulate_studies.py --data DIR --count 200000 --out runs/simulated --shards

The entries point to the few images of DIR and have its reports, each with a number of its own. Printed are the first
start, which reads the annotation and labels the reports, the second one, and the data path.
"""

from __future__ import annotations

import json
import sys
import tarfile
import time
from pathlib import Path

import psutil
import torch
import tyro
from torch.utils.data import DataLoader, RandomSampler

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "train")]

from recipes.stages import recipe_for  # noqa: E402
from rrg.data.annotation import load_annotation, read_reported  # noqa: E402
from rrg.data.batches import StudyDataset, collate  # noqa: E402
from rrg.data.files import write_text  # noqa: E402
from rrg.data.studies import ImageFile, Study  # noqa: E402
from rrg.inference.cpu import configure_cpu  # noqa: E402
from training.processes import default_workers  # noqa: E402
from training.run import Run, initial_model, make_datasets, open_data  # noqa: E402


def main(
    data: Path,
    out: Path,
    count: int = 200_000,
    images: int = 200,
    shards: bool = False,
    seconds: float = 20.0,
    workers: int | None = None,
) -> None:
    """Simulate and measure.

    Args:
        data: Folder with annotation.json and images.
        out: Receives the simulated folder.
        count: Train entries.
        images: Images of `data` that the entries point to.
        shards: Pack the images into WebDataset shards.
        seconds: Time for which the data path is measured.
        workers: Processes that decode images; by default those of training.
    """
    configure_cpu()
    simulate(data, out, count, images, shards)
    size = (out / "annotation.json").stat().st_size / 1e6
    print(f"{count:,} entries on {images} images, annotation.json has {size:.0f} MB")
    workers = default_workers() if workers is None else workers
    run = Run("r2gen_cmn", data=out, out=out / "weights", work=out / "runs", size="published_mimic", workers=workers)
    for name in ("first start", "second start"):
        begin = time.perf_counter()
        train_set = start(run)
        print(f"{name}: {time.perf_counter() - begin:.1f} s, {peak():.2f} GiB peak memory", flush=True)
    rate = images_a_second(train_set, workers, seconds)
    print(f"data path: {rate:.1f} images/s with {workers} worker processes, {resident():.2f} GiB with all of them")
    print(f"step of r2gen_cmn published_mimic on {device_name()}: {step_rate(run, train_set, seconds):.1f} images/s")


def simulate(data: Path, out: Path, count: int, images: int, shards: bool) -> None:
    """Write annotation.json with `count` train entries and the val split of `data`, and links to the images."""
    if (out / "annotation.json").is_file() and len(load_annotation(out / "annotation.json")["train"]) == count:
        return
    studies = read_reported(data, "train")[:images]
    names = [copy_image(study, number, out) for number, study in enumerate(studies)]
    annotation = {
        "train": [
            {
                "id": f"s{number:08d}",
                "report": f"{studies[number % len(studies)].report} Study {number}.",
                "image_path": [names[number % len(studies)]],
                "view": ["frontal"],
            }
            for number in range(count)
        ],
        "val": [
            {"id": f"v{number}", "report": study.report, "image_path": [names[number]], "view": ["frontal"]}
            for number, study in enumerate(studies[:20])
        ],
    }
    write_text(out / "annotation.json", json.dumps(annotation))
    if shards:
        pack(out, names)


def copy_image(study: Study, number: int, out: Path) -> str:
    """Copy the first image of a study into the folder and return its name."""
    image = study.images[0]
    assert isinstance(image, ImageFile)
    inside = image.member is not None
    name = f"{number:06d}{Path(image.member.name if image.member else image.path).suffix}"
    (out / "images").mkdir(parents=True, exist_ok=True)
    content = image.member.read() if inside and image.member else image.path.read_bytes()
    (out / "images" / name).write_bytes(content)
    return name


def pack(out: Path, names: list[str]) -> None:
    """Move the images into shards of 50."""
    for first in range(0, len(names), 50):
        with tarfile.open(out / f"images-{first // 50:06d}.tar", "w") as tar:
            for name in names[first : first + 50]:
                tar.add(out / "images" / name, name)
                (out / "images" / name).unlink()
    (out / "images").rmdir()


def start(run: Run) -> StudyDataset:
    """All that training does before its first step, without cached features."""
    recipe = recipe_for(run.architecture, run.size)
    data = open_data(run)
    model, tokenizer = initial_model(run, recipe, data)
    train_set, _ = make_datasets(run, recipe, model, tokenizer, data)
    assert isinstance(train_set, StudyDataset)
    return train_set


def images_a_second(studies: StudyDataset, workers: int, seconds: float) -> float:
    """Images a second of the data path: read, decoded, augmented, resized, stacked into batches."""
    loader = DataLoader(studies, batch_size=16, sampler=RandomSampler(studies), num_workers=workers, collate_fn=collate)
    batches = iter(loader)
    next(batches)  # the workers have started
    begin, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - begin) < seconds:
        count += int(next(batches)["view_mask"].sum())
    return count / passed


def step_rate(run: Run, studies: StudyDataset, seconds: float) -> float:
    """Images a second of forward and backward pass alone, on one batch that stays in memory."""
    recipe = recipe_for(run.architecture, run.size)
    model, _ = initial_model(run, recipe, open_data(run))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batch = {name: value.to(device) for name, value in collate([studies[i] for i in range(recipe.batch_size)]).items()}
    model.to(device).train()  # type: ignore[arg-type]
    model(**batch).loss.backward()
    begin, count = time.perf_counter(), 0
    while (passed := time.perf_counter() - begin) < seconds:
        model(**batch).loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        count += int(batch["view_mask"].sum())
    return count / passed


def device_name() -> str:
    """The GPU, or the number of threads."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU threads"


def peak() -> float:
    """Largest resident memory of this process so far, in GiB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def resident() -> float:
    """Memory of this process and its workers in GiB; a page that several share counts once."""
    process = psutil.Process()
    return sum(each.memory_full_info().pss for each in (process, *process.children())) / 2**30


if __name__ == "__main__":
    tyro.cli(main)
