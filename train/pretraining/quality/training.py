"""Train the quality heads of an image encoder, choose their thresholds, write their file.

A perceptron with one hidden layer reads the pooled features of an image. It learns four questions at once: is it no
chest, is it inverted, how is it turned, is it lateral. The last three are asked of chests alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from pretraining.image_encoder import read_encoder
from pretraining.quality.chests import phantoms, radiograph_of, read_listed, read_split
from pretraining.quality.pictures import read_pictures
from pretraining.quality.samples import Label, Sample, chest_samples, other_samples
from rrg.data.files import replaced
from rrg.data.quality.heads import (
    FILE,
    INVERTED,
    LATERAL,
    NO_CHEST,
    OUTPUTS,
    UPRIGHT,
    ImageScores,
    QualityHeads,
    Thresholds,
)
from rrg.errors import InputError
from rrg.inference.cpu import configure_cpu
from rrg.inference.quality import encoder_identity
from rrg.layers.image_encoder import ImageEncoder


@dataclass(frozen=True)
class QualityRecipe:
    """Images, sizes and permitted false alarms."""

    data: Path
    """Folder with annotation.json and images/ or images.tar: chests of one hospital, splits train and val."""
    second: Path | None = None
    """Folder with labels.csv and images: frontal chests of a second hospital, of which a fifth is held out."""
    pictures: Path | None = None
    """Folder with train/ and held_out/: photographs and other pictures without chests."""
    encoder: Path = Path("weights/image_encoder.safetensors")
    """Image encoder of train/pretrain_encoder.py. The heads are written beside it."""
    work: Path = Path("runs/quality")
    """Folder of the cached features."""
    table: Path = Path("docs/quality.md")
    """Receives sensitivity and false alarms of each kind of note."""
    only_table: bool = False
    """Measure the present heads instead of training."""
    samples: int = 4000
    """Samples of the data folder."""
    second_samples: int = 1400
    phantom_samples: int = 500
    other_samples: int = 3500
    hidden: int = 64
    epochs: int = 15
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    dropout: float = 0.2
    refused_chests: float = 0.005
    """Share of real chests in the calibration images that may be refused as no chest."""
    doubted_chests: float = 0.02
    """Share that may get the warning that it may be no chest."""
    false_warnings: float = 0.01
    """Share that may be called inverted, turned, or of the other view."""
    seed: int = 9223


@dataclass(frozen=True, eq=False)
class Features:
    """Pooled features with labels."""

    values: np.ndarray
    """float32 [n, C]"""
    labels: np.ndarray
    """int8 [n, fields of Label]"""

    def label(self, name: str) -> np.ndarray:
        """One field of `Label` [n]."""
        return self.labels[:, [field.name for field in fields(Label)].index(name)]


class FeatureExtractor:
    """The image encoder as the report models run it, with the mean over the cells of its map."""

    def __init__(self, file: Path):
        encoder, self.transform = read_encoder(file)
        self.identity = encoder_identity(file, self.transform)
        encoder.fold_batch_norms()
        encoder.split_early_layers()
        self._encoder: ImageEncoder = encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(self, images: Iterable[np.ndarray], batch_size: int = 16) -> np.ndarray:
        """Images [H, W] in [0, 1] -> pooled features [n, C]."""
        pooled = [self._pooled(batch) for batch in _batches(map(self._input, images), batch_size)]
        return np.concatenate(pooled)

    def _input(self, image: np.ndarray) -> Tensor:
        return self.transform(radiograph_of(image))

    def _pooled(self, batch: list[Tensor]) -> np.ndarray:
        maps = self._encoder(torch.stack(batch)[None])[0]  # [B,C,h,w]
        return maps.float().mean(dim=(-2, -1)).numpy()


def _batches(images: Iterable[Tensor], size: int) -> Iterator[list[Tensor]]:
    batch: list[Tensor] = []
    for image in images:
        batch.append(image)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def train_quality(recipe: QualityRecipe) -> QualityHeads:
    """Extract the features of all samples, fit the heads, choose the thresholds, write the file.

    Raises InputError for missing files and for data without chests.
    """
    configure_cpu()
    torch.manual_seed(recipe.seed)
    extract = FeatureExtractor(recipe.encoder)
    features = _features(recipe, extract)
    heads = fit(features, recipe, extract.identity)
    heads.write(recipe.encoder.with_name(FILE), {"samples": str(len(features.values)), "seed": str(recipe.seed)})
    return heads


def _features(recipe: QualityRecipe, extract: FeatureExtractor) -> Features:
    """The features of all samples. Each part is cached, so that an interrupted extraction resumes."""
    parts = []
    for name, samples in _parts(recipe).items():
        sampling = (extract.identity, recipe.data, recipe.second, recipe.pictures, recipe.seed, _counts(recipe), name)
        key = hashlib.sha256(repr(sampling).encode()).hexdigest()[:16]
        cached = recipe.work / f"{name}-{key}.npz"
        if not cached.is_file():
            _extract(extract, samples(), name, cached)
        with np.load(cached) as stored:
            parts.append(Features(stored["values"], stored["labels"]))
    return Features(np.concatenate([part.values for part in parts]), np.concatenate([part.labels for part in parts]))


def _extract(extract: FeatureExtractor, samples: Iterable[Sample], name: str, out: Path) -> None:
    labels: list[tuple[int, ...]] = []

    def images() -> Iterator[np.ndarray]:
        for sample in tqdm(samples, desc=name, disable=None):
            labels.append(astuple(sample.label))
            yield sample.pixels

    values = extract(images())
    with replaced(out) as temporary, temporary.open("wb") as file:
        np.savez(file, values=values, labels=np.array(labels, np.int8))


def _counts(recipe: QualityRecipe) -> tuple[int, ...]:
    return recipe.samples, recipe.second_samples, recipe.phantom_samples, recipe.other_samples


def _parts(recipe: QualityRecipe) -> dict[str, Callable[[], Iterable[Sample]]]:
    """The parts of the samples by name; nothing is read before a part is asked for."""

    def chests() -> Iterable[Sample]:
        return chest_samples(read_split(recipe.data, "train"), 0, recipe.samples, recipe.seed)

    def synthetic() -> Iterable[Sample]:
        return chest_samples(phantoms(), 1, recipe.phantom_samples, recipe.seed + 1)

    def others() -> Iterable[Sample]:
        pictures = read_pictures(recipe.pictures / "train") if recipe.pictures is not None else []
        return other_samples(pictures, read_split(recipe.data, "train"), recipe.other_samples, recipe.seed + 2)

    parts: dict[str, Callable[[], Iterable[Sample]]] = {"chests": chests, "others": others}
    if recipe.phantom_samples:
        parts["phantoms"] = synthetic
    if recipe.second is not None:
        second = recipe.second
        parts["second"] = lambda: chest_samples(
            read_listed(second, recipe.seed)[0], 2, recipe.second_samples, recipe.seed + 3
        )
    return parts


def fit(features: Features, recipe: QualityRecipe, encoder: str) -> QualityHeads:
    """Fit the heads on the samples that are not for calibration, and choose the thresholds on the others.

    Raises InputError when a kind of sample is missing among the calibration samples.
    """
    fitted = features.label("calibration") == 0
    mean = features.values[fitted].mean(0)
    scale = 1 / (features.values[fitted].std(0) + 1e-3)
    inputs = torch.from_numpy((features.values[fitted] - mean) * scale)
    labels = {name: torch.from_numpy(features.label(name)[fitted]) for name in ("no_chest", "inverted", "turns")}
    labels["lateral"] = torch.from_numpy(features.label("lateral")[fitted])
    hidden, output = nn.Linear(inputs.shape[1], recipe.hidden), nn.Linear(recipe.hidden, OUTPUTS)
    model = nn.Sequential(nn.Dropout(recipe.dropout), hidden, nn.ReLU(), nn.Dropout(recipe.dropout), output)
    optimizer = torch.optim.AdamW(model.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * -(-len(inputs) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(recipe.epochs):
        for chosen in torch.randperm(len(inputs)).split(recipe.batch_size):
            batch_loss = loss(model(inputs[chosen]), {name: values[chosen] for name, values in labels.items()})
            optimizer.zero_grad()
            batch_loss.backward()
            optimizer.step()
            schedule.step()
    tensors = [part.detach().numpy() for part in (hidden.weight, hidden.bias, output.weight, output.bias)]
    nothing = Thresholds(*[0.0] * len(fields(Thresholds)))
    heads = QualityHeads(mean, scale, *tensors, thresholds=nothing, encoder=encoder)
    calibration = Features(features.values[~fitted], features.labels[~fitted])
    thresholds = choose_thresholds(heads.logits(calibration.values), calibration, recipe)
    return QualityHeads(mean, scale, *tensors, thresholds=thresholds, encoder=encoder)


def loss(logits: Tensor, labels: dict[str, Tensor]) -> Tensor:
    """Sum of the four cross-entropies over logits [n, 7]; samples with the label -1 are left out of their question."""

    def binary(output: int, name: str) -> Tensor:
        asked = labels[name] >= 0
        return F.binary_cross_entropy_with_logits(logits[asked, output], labels[name][asked].float(), reduction="sum")

    turned = F.cross_entropy(logits[:, UPRIGHT], labels["turns"].long(), ignore_index=-1, reduction="sum")
    questions = binary(NO_CHEST, "no_chest") + binary(INVERTED, "inverted") + turned + binary(LATERAL, "lateral")
    return questions / len(logits)


def choose_thresholds(logits: np.ndarray, samples: Features, recipe: QualityRecipe) -> Thresholds:
    """Thresholds with the permitted share of false alarms on the chests of each hospital.

    Args:
        logits: float32 [n, 7] of the calibration samples.
        samples: the calibration samples.
        recipe: the permitted shares.
    """
    chest, upright = samples.label("no_chest") == 0, samples.label("turns") == 0
    plain = chest & upright & (samples.label("inverted") == 0)
    rotation = np.array([ImageScores.of(row).rotated for row in logits])
    lateral, frontal = samples.label("lateral") == 1, samples.label("lateral") == 0

    def limit(score: np.ndarray, among: np.ndarray, permitted: float) -> float:
        """Lowest threshold with at most the permitted share of false alarms in each source of `among`."""
        sources = samples.label("source")
        limits = [
            float(np.quantile(score[among & (sources == source)], 1 - permitted, method="higher"))
            for source in np.unique(sources[among])
        ]
        if not limits:
            raise InputError("There are too few images to choose thresholds. Give more studies.")
        return max(limits) + 1e-3

    def threshold(score: np.ndarray, negatives: np.ndarray, positives: np.ndarray) -> float:
        """The limit, or more, up to 0, where 99 % of the positives stay above it: fewer false alarms at no cost."""
        lowest = limit(score, negatives, recipe.false_warnings)
        found = float(np.quantile(score[positives], 0.01)) if positives.any() else 0.0
        return max(lowest, min(0.0, found))

    return Thresholds(
        # Whatever the permitted share, an image is not refused that is likelier a chest than not.
        no_chest_refuse=max(0.0, limit(logits[:, NO_CHEST], plain, recipe.refused_chests)),
        no_chest_warn=limit(logits[:, NO_CHEST], plain, recipe.doubted_chests),
        inverted=threshold(logits[:, INVERTED], plain, chest & (samples.label("inverted") == 1)),
        rotated=threshold(rotation, plain, chest & (samples.label("turns") > 0)),
        lateral=max(0.0, limit(logits[:, LATERAL], plain & frontal, recipe.false_warnings)),
        frontal=min(0.0, -limit(-logits[:, LATERAL], plain & lateral, recipe.false_warnings)),
    )
