"""Train everything: the image encoder, what the architectures need beforehand, all models with one or more seeds.

Each step is a command of its own with a log file. A step whose output exists is skipped, so an interrupted call goes on
where it was. A step that fails stops only the steps that need its output.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from recipes import RECIPES
from rrg.data.files import replaced, write_text
from rrg.errors import InputError

TRAIN = Path(__file__).resolve().parent.parent
"""Folder of the training commands."""

LARGEST_FILE = 16 * 2**20
"""Limit of a written file in bytes."""

NEEDS = {"xpronet": "prototypes", "csr_lmca": "sdam"}
"""The file that an architecture is trained with, and the option that names it."""


@dataclass(frozen=True)
class Everything:
    """What is trained, on what, and where it is written."""

    data: Path
    """Folder with annotation.json and images/ or images.tar."""
    out: Path = Path("runs/all/weights")
    """Receives the encoder and a folder for each model; further seeds stand in folders seed1, seed2, ..."""
    work: Path = Path("runs/all")
    """Folder of logs, checkpoints, cached features and evaluations."""
    second: Path | None = None
    """Second hospital for the image encoder, as in train/pretrain_encoder.py."""
    backbone_weights: Path | None = None
    """ImageNet weights of the encoder's backbone."""
    encoder: Path | None = None
    """A finished image encoder, in place of training one."""
    encoder_arguments: str = ""
    """Further arguments of train/pretrain_encoder.py in one string, such as "--sizes 256 256 384"."""
    model_arguments: str = ""
    """Further arguments of train/train.py NAME in one string, such as "--epochs 5"."""
    models: tuple[str, ...] = tuple(RECIPES)
    """Architectures to train."""
    start_from: Path | None = None
    """Folder with a folder of trained weights for each architecture, to start from."""
    seeds: int = 1
    """Number of seeds."""
    jobs: int = 1
    """Models that are trained at the same time, each with an equal part of the cores."""
    size: str = "small"
    """Recipe of all architectures."""
    evaluate: bool = True
    """Evaluate the models on val when all are trained."""
    pack: bool = False
    """Write an archive of each model, with its val results, into the folder `packed` of the work."""


@dataclass(frozen=True)
class Step:
    """One command and the file that it writes."""

    name: str
    arguments: tuple[str, ...]
    """What follows the name of the Python interpreter."""
    output: Path
    """Exists when the step is done."""


@dataclass(frozen=True)
class Outcome:
    """What became of a step."""

    name: str
    seconds: float
    state: str
    """done, skipped (its output was there), or failed."""


def train_everything(everything: Everything) -> list[Outcome]:
    """Run all steps; the outcomes are written to summary.json too.

    Raises InputError for unknown architectures, and after the last step when one failed or a file is too large.
    """
    unknown = sorted(set(everything.models) - RECIPES.keys())
    if unknown:
        raise InputError(f"There is no architecture {unknown[0]!r}. There are: {', '.join(RECIPES)}.")
    outcomes: list[Outcome] = []
    encoder = everything.encoder or everything.out / "image_encoder.safetensors"
    if everything.encoder is None:
        outcomes.append(_run(everything, encoder_step(everything, encoder)))
    for step in preparations(everything, encoder):
        outcomes.append(_run(everything, step))
    with ThreadPoolExecutor(max(1, everything.jobs)) as pool:
        # The first model computes the features that the others read.
        steps = [
            model_step(everything, name, seed, encoder)
            for seed in range(everything.seeds)
            for name in everything.models
        ]
        outcomes.append(_run(everything, steps[0]))
        outcomes += pool.map(lambda step: _run(everything, step), steps[1:])
    if everything.evaluate:
        outcomes += [_run(everything, evaluation_step(everything, seed)) for seed in range(everything.seeds)]
    write_text(everything.work / "summary.json", json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    if everything.pack:
        pack(everything)
    _check(everything, outcomes)
    return outcomes


# Steps ----------------------------------------------------------------------------------------------------------------


def encoder_step(everything: Everything, encoder: Path) -> Step:
    """Train the image encoder into `encoder`."""
    further = [*_option("second", everything.second), *_option("backbone-weights", everything.backbone_weights)]
    command = ("--data", str(everything.data), "--out", str(encoder.parent), *further)
    arguments = (str(TRAIN / "pretrain_encoder.py"), *command, *shlex.split(everything.encoder_arguments))
    return Step("encoder", arguments, encoder)


def preparations(everything: Everything, encoder: Path) -> list[Step]:
    """The prototypes of XProNet and the thresholds of CSR-LMCA, for the chosen architectures."""
    steps = []
    for name in everything.models:
        if name in NEEDS:
            output = everything.work / f"{NEEDS[name]}.safetensors"
            command = ("--data", str(everything.data), "--encoder", str(encoder), "--out", str(output))
            steps.append(Step(NEEDS[name], (str(TRAIN / f"{NEEDS[name]}.py"), *command), output))
    return steps


def model_step(everything: Everything, name: str, seed: int, encoder: Path) -> Step:
    """Train one architecture with one seed; seed 0 is the recipe's."""
    out = folder_of(everything, seed) / name
    needed = NEEDS.get(name)
    command = (
        *(name, "--data", str(everything.data), "--encoder", str(encoder), "--share-encoder", "--out", str(out)),
        *("--work", str(everything.work), "--size", everything.size),
        *(["--seed", str(seed)] if seed else []),
        *_option(needed or "", everything.work / f"{needed}.safetensors" if needed else None),
        *_option("start-from", everything.start_from / name if everything.start_from else None),
        *shlex.split(everything.model_arguments),
    )
    return Step(f"{name}-seed{seed}", (str(TRAIN / "train.py"), *command), out / "config.json")


def evaluation_step(everything: Everything, seed: int) -> Step:
    """Evaluate the models of one seed on val."""
    out = everything.work / f"val-seed{seed}"
    models = [str(folder_of(everything, seed) / name) for name in everything.models]
    command = ("evaluate", "--data", str(everything.data), "--split", "val", "--model", *models, "--out", str(out))
    return Step(f"evaluate-seed{seed}", ("-m", "rrg", *command), out / "done")


def folder_of(everything: Everything, seed: int) -> Path:
    """Where the models of a seed are written."""
    return everything.out / f"seed{seed}" if seed else everything.out


def _option(name: str, value: Path | None) -> list[str]:
    return [f"--{name}", str(value)] if value is not None else []


# Running --------------------------------------------------------------------------------------------------------------


def _run(everything: Everything, step: Step) -> Outcome:
    """Run a step unless its output is there, with its output in a log file."""
    if step.output.exists():
        print(f"{step.name}: skipped, {step.output} is there", flush=True)
        return Outcome(step.name, 0.0, "skipped")
    log = everything.work / "logs" / f"{step.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    threads = max(1, (os.cpu_count() or 1) // max(1, everything.jobs))
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    environment["PYTHONPATH"] = os.pathsep.join([str(TRAIN.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    start = time.monotonic()
    with log.open("w") as file:
        code = subprocess.run([sys.executable, *step.arguments], stdout=file, stderr=file, env=environment).returncode
    state = "done" if code == 0 else "failed"
    if code == 0 and step.output.name == "done":
        write_text(step.output, "")
    seconds = time.monotonic() - start
    print(f"{step.name}: {state} after {seconds:.0f} s" + ("" if code == 0 else f", see {log}"), flush=True)
    return Outcome(step.name, seconds, state)


def pack(everything: Everything) -> list[Path]:
    """Write `packed/NAME.tar` for each model and seed, and `packed/encoder.tar` with the encoder and the summary.

    An archive of a model holds its folder and its val results. Missing folders are left out: a failed step is reported
    elsewhere.
    """
    folder = everything.work / "packed"
    folder.mkdir(parents=True, exist_ok=True)
    contents = {"encoder": [everything.out / "image_encoder.safetensors", everything.work / "summary.json"]}
    for seed in range(everything.seeds):
        for name in everything.models:
            results = sorted((everything.work / f"val-seed{seed}").glob(f"{name}-*"))
            contents[f"{name}-seed{seed}"] = [folder_of(everything, seed) / name, *results]
    archives = []
    for name, paths in contents.items():
        archives.append(folder / f"{name}.tar")
        with replaced(archives[-1]) as temporary, tarfile.open(temporary, "w") as archive:
            for path in paths:
                if path.exists():
                    archive.add(path, path.name)
    return archives


def _check(everything: Everything, outcomes: Sequence[Outcome]) -> None:
    failed = [outcome.name for outcome in outcomes if outcome.state == "failed"]
    if failed:
        raise InputError(
            f"{len(failed)} of {len(outcomes)} steps failed: {', '.join(failed)}. Their logs are in "
            f"{everything.work / 'logs'}. Mend the cause and run the same command again."
        )
    written = [*everything.out.rglob("*"), *(everything.work / "packed").glob("*")]
    large = [path for path in written if path.is_file() and path.stat().st_size > LARGEST_FILE]
    if large:
        raise InputError(f"{large[0]} is larger than {LARGEST_FILE // 2**20} MiB. Give fewer or smaller layers.")
