"""Make the prototypes that XProNet starts from (Wang et al., ECCV 2022): what each finding looks and reads like.

    python train/prototypes.py --data DIR --encoder runs/encoder/image_encoder.safetensors --out FILE.safetensors
    python train/train.py xpronet --data DIR --encoder ... --prototypes FILE.safetensors --out weights/xpronet

Every study of the train split becomes a vector: pooled image features beside features of its report. The vectors of
each class are clustered by k-means, once from plain and once from augmented images; the centres are its prototypes.

The file is safetensors with one tensor, `prototypes`, float32 [classes, P, E], the plain half of P first, and metadata
(strings, JSON where there is more than one): `format` ("rrg prototypes 1"), `classes` (names in the order of the
tensor), `studies` (how many of each class), `sizes` (image and text features in E), `text` (how reports became
vectors) and `labeler`.

Departures from the published procedure. Its augmented half comes from mirrored images, which swap the patient's left
and right beside a report that names them; here it is small rotations, shifts and changes of brightness. Image and text
features are centred and scaled to unit mean variance, so that neither side drowns the other: a linear layer follows,
which could undo it. Without a local language model (the paper's CheXbert) reports become TF-IDF vectors, reduced by
SVD.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor
from torch.utils.data import DataLoader

from rrg.data.annotation import read_annotation
from rrg.data.batches import StudyDataset, collate
from rrg.data.transforms import ViewTransform, training_augmentation
from rrg.errors import InputError
from rrg.inference.cpu import spare_memory
from rrg.labels.findings import FINDINGS, LABELER, label_vector
from rrg.layers.image_encoder import ImageEncoder
from rrg.models.base import ReportModel
from rrg.models.xpronet import XProNet, XProNetConfig

FORMAT = "rrg prototypes 1"


@dataclass(frozen=True)
class PrototypeRecipe:
    """Which studies, seen and read by what, become how many prototypes."""

    data: Path
    """Folder with annotation.json and images/ or images.tar."""
    encoder: Path
    """Image encoder of train/pretrain_encoder.py."""
    out: Path = Path("runs/prototypes.safetensors")
    per_class: int = 20
    """Prototypes of each class, an even number."""
    text_model: Path | None = None
    """Folder of a BERT that transformers can read (CheXbert in the paper); its first token stands for the report."""
    text_size: int = 256
    """Without a language model: SVD components of the TF-IDF vectors, at most."""
    seed: int = 9223


@dataclass(frozen=True)
class Prototypes:
    """Prototypes of named classes."""

    values: Tensor
    """float32 [classes, P, E]"""
    classes: tuple[str, ...]


def read_prototypes(path: Path) -> Prototypes:
    """The prototypes of a file that this script wrote. Raises InputError when it is none."""
    if not path.is_file():
        raise InputError(f"There is no {path}. Make it with train/prototypes.py.")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise InputError(f"{path} holds no prototypes of the format {FORMAT!r}. Make it with train/prototypes.py.")
        return Prototypes(file.get_tensor("prototypes"), tuple(json.loads(metadata["classes"])))


def with_prototypes(kind: type[ReportModel], config: dict[str, Any], path: Path) -> XProNet:
    """A model that starts from the prototypes of a file, in the number and length that they have there.

    Raises InputError for an architecture that has none.
    """
    if not issubclass(kind, XProNet):
        raise InputError(f"{kind.__name__} has no prototypes; leave --prototypes out.")
    prototypes = read_prototypes(path)
    _, per_class, size = prototypes.values.shape
    model = XProNet(XProNetConfig(**{**config, "prototypes_per_class": per_class, "prototype_size": size}))
    model.load_prototypes(prototypes.values, prototypes.classes)
    return model


def read_encoder(path: Path) -> tuple[ImageEncoder, ViewTransform]:
    """The image encoder of train/pretrain_encoder.py with the transform of its images."""
    if not path.is_file():
        raise InputError(f"There is no {path}. Make it with train/pretrain_encoder.py.")
    with safe_open(path, framework="pt") as file:
        recipe = json.loads((file.metadata() or {}).get("recipe", "{}"))
    if "backbone" not in recipe:
        raise InputError(f"{path} does not say what it was trained with. Make it with train/pretrain_encoder.py.")
    encoder = ImageEncoder(recipe["backbone"], recipe["backbone_options"], len(FINDINGS))
    state = {name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()}
    encoder.load_state_dict(state)
    transform = ViewTransform(recipe["image_size"], tuple(recipe["image_mean"]), tuple(recipe["image_std"]))
    return encoder.eval(), transform


@torch.inference_mode()
def image_features(encoder: ImageEncoder, studies: StudyDataset) -> np.ndarray:
    """Pooled features [studies, C] over the valid views."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = encoder.to(device)
    pooled = []
    for batch in DataLoader(studies, batch_size=32, collate_fn=collate):
        maps = encoder(batch["pixel_values"].to(device))
        pooled.append(encoder.pool(maps, batch["view_mask"].to(device)).float().cpu().numpy())
    return np.concatenate(pooled)


def tfidf_features(reports: Sequence[str], size: int, seed: int) -> np.ndarray:
    """Latent semantic features [reports, at most size] of the words and pairs of words of each report."""
    counts = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True).fit_transform(reports)
    components = min(size, counts.shape[0] - 1, counts.shape[1] - 1)
    return TruncatedSVD(components, random_state=seed).fit_transform(counts).astype(np.float32)


@torch.inference_mode()
def language_model_features(reports: Sequence[str], folder: Path) -> np.ndarray:
    """Last hidden state [reports, hidden] of a BERT's first token."""
    from transformers import AutoModel, AutoTokenizer

    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Leave --text-model out to use TF-IDF.")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    vectors = []
    for start in range(0, len(reports), 32):
        batch = tokenizer(
            list(reports[start : start + 32]), padding=True, truncation=True, max_length=512, return_tensors="pt"
        )
        vectors.append(model(**batch).last_hidden_state[:, 0].float().numpy())
    return np.concatenate(vectors)


def standardise(vectors: np.ndarray) -> np.ndarray:
    """Centred, and scaled by one number so that the mean variance of a channel is 1."""
    centred = vectors - vectors.mean(0)
    return centred / max(float(centred.std()), 1e-6)


def cluster(vectors: np.ndarray, labels: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """k-means centres [classes, clusters, E] of the vectors [n, E] of each class of labels [n, classes].

    A class with fewer studies than clusters repeats its studies, a class without any starts from the centres of all
    studies. A trace of noise keeps repeated rows apart, which would otherwise be learned alike for ever.
    """
    random = np.random.default_rng(seed)
    centres = []
    for members in labels.T > 0.5:
        rows = vectors[members] if members.any() else vectors
        if len(rows) > clusters:
            centre = KMeans(clusters, n_init="auto", random_state=seed).fit(rows).cluster_centers_
        else:
            centre = rows[np.arange(clusters) % len(rows)]
        centres.append(centre + 0.01 * random.standard_normal(centre.shape))
    return np.stack(centres).astype(np.float32)


def main(recipe: PrototypeRecipe) -> None:
    """Read the train split, cluster, write the file."""
    spare_memory()
    if recipe.per_class < 2 or recipe.per_class % 2:
        raise InputError(
            f"--per-class is {recipe.per_class}; half of them come from augmented images: give an even number."
        )
    studies = [study for study in read_annotation(recipe.data, "train") if study.report]
    reports = [study.report or "" for study in studies]
    labels = np.stack([label_vector(report) for report in reports])
    encoder, plain = read_encoder(recipe.encoder)
    torch.manual_seed(recipe.seed)

    if recipe.text_model is None:
        text, described = tfidf_features(reports, recipe.text_size, recipe.seed), "TF-IDF, SVD"
    else:
        text, described = language_model_features(reports, recipe.text_model), recipe.text_model.name
    halves, image_size = [], 0
    for transform in (plain, replace(plain, augmentation=training_augmentation())):
        images = image_features(encoder, StudyDataset(studies, transform))
        image_size = images.shape[1]
        vectors = np.concatenate((standardise(images), standardise(text)), axis=1)
        halves.append(cluster(vectors, labels, recipe.per_class // 2, recipe.seed))

    recipe.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = recipe.out.with_suffix(".tmp")
    save_file(
        {"prototypes": torch.from_numpy(np.concatenate(halves, axis=1))},
        temporary,
        {
            "format": FORMAT,
            "classes": json.dumps(FINDINGS),
            "studies": json.dumps(labels.sum(0).astype(int).tolist()),
            "sizes": json.dumps([image_size, text.shape[1]]),
            "text": described,
            "labeler": LABELER,
        },
    )
    os.replace(temporary, recipe.out)
    length = image_size + text.shape[1]
    print(f"{recipe.out}: {recipe.per_class} prototypes of length {length} for each of {len(FINDINGS)} classes")


if __name__ == "__main__":
    main(tyro.cli(PrototypeRecipe, description=__doc__))
