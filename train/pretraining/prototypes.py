"""Initial prototypes of XProNet (Wang et al., ECCV 2022): cluster centres of image and report features of each class.

Each study of the train split becomes a vector: pooled image features, concatenated with features of its report. The
vectors of each class are clustered by k-means, once with plain and once with augmented images. The centres are the
prototypes of the class.

The file is safetensors with one tensor, `prototypes`, float32 [classes, P, E], the plain half of P first, and metadata
(strings, JSON where there is more than one): `format` ("rrg prototypes 1"), `classes` (names in the order of the
tensor), `studies` (number of studies of each class), `sizes` (image and text features in E), `text` (kind of report
features) and `labeler`.

Departures from the published procedure. Its augmented half comes from mirrored images, which swap the patient's left
and right beside a report that names them; here it comes from small rotations, shifts and changes of brightness. Image
and text features are centred and scaled to unit mean variance, so that both have the same weight in the clustering; a
linear layer follows, which can undo the scaling. Without a local language model (the paper's CheXbert) the report
features are TF-IDF vectors, reduced by SVD.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor
from torch.utils.data import DataLoader

from monitoring.progress import Progress
from pretraining.finding_labels import finding_labels
from pretraining.image_encoder import read_encoder
from rrg.data.batches import ImagesAlone, StudyDataset, collate
from rrg.data.files import replaced
from rrg.data.study_table import cache_folder, open_studies
from rrg.data.transforms import training_augmentation
from rrg.errors import InputError
from rrg.inference.cpu import configure_cpu
from rrg.labels.findings import FINDINGS
from rrg.labels.labeler import load_labeler
from rrg.layers.image_encoder import ImageEncoder

FORMAT = "rrg prototypes 1"


@dataclass(frozen=True)
class PrototypeRecipe:
    """Studies, feature extractors and number of prototypes."""

    data: Path
    """Folder with annotation.json and images/ or images.tar."""
    encoder: Path
    """Image encoder of train/pretrain_encoder.py."""
    out: Path = Path("runs/prototypes.safetensors")
    labeler: Path | None = None
    """CheXbert checkpoint (chexbert.pth) that labels the reports, as in the paper; without it our rules do."""
    labeler_tokenizer: Path | None = None
    """Folder or vocab.txt of the tokenizer of bert-base-uncased for --labeler; by default that in the hub's cache."""
    workers: int = 1
    """Processes that decode images."""
    per_class: int = 20
    """Number of prototypes of each class; even, because half of them come from augmented images."""
    text_model: Path | None = None
    """Folder of a BERT that transformers can load (CheXbert in the paper); the report features are the hidden state of
    its first token."""
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
    """The prototypes of a file of train/prototypes.py. Raises InputError when it is missing or has another format."""
    if not path.is_file():
        raise InputError(f"There is no {path}. Make it with train/prototypes.py.")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise InputError(f"{path} holds no prototypes of the format {FORMAT!r}. Make it with train/prototypes.py.")
        return Prototypes(file.get_tensor("prototypes"), tuple(json.loads(metadata["classes"])))


@torch.inference_mode()
def image_features(encoder: ImageEncoder, studies: StudyDataset, workers: int = 0) -> np.ndarray:
    """Pooled features [studies, C] over the valid views; `workers` processes decode the images."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = encoder.to(device)
    pooled = []
    images = ImagesAlone(studies)
    with Progress(total=len(images), desc="features", unit="studies") as progress:
        for batch in DataLoader(images, batch_size=32, collate_fn=collate, num_workers=workers):
            maps = encoder(batch["pixel_values"].to(device))
            pooled.append(encoder.pool(maps, batch["view_mask"].to(device)).float().cpu().numpy())
            progress.update(len(maps))
    return np.concatenate(pooled)


def tfidf_features(reports: Sequence[str], size: int, seed: int) -> np.ndarray:
    """Latent semantic analysis of unigrams and bigrams: features [reports, at most size]."""
    counts = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True).fit_transform(reports)
    components = min(size, counts.shape[0] - 1, counts.shape[1] - 1)
    return TruncatedSVD(components, random_state=seed).fit_transform(counts).astype(np.float32)


@torch.inference_mode()
def language_model_features(reports: Sequence[str], folder: Path) -> np.ndarray:
    """Last hidden state [reports, hidden] of the first token of a BERT.

    Raises InputError when there is no folder.
    """
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
    """Vectors [n, E], centred and scaled by one factor to a mean variance of 1 over the channels."""
    centred = vectors - vectors.mean(0)
    return centred / max(float(centred.std()), 1e-6)


def cluster(vectors: np.ndarray, labels: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """k-means centres [classes, clusters, E] of the vectors [n, E] of each class of labels [n, classes].

    A class with fewer studies than clusters repeats its studies; a class without studies gets the centres of all
    studies. Noise separates repeated rows, which would otherwise have equal gradients and stay equal.
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


def make_prototypes(recipe: PrototypeRecipe) -> None:
    """Extract the features of the train split, cluster them, write the file.

    Raises InputError for an odd number of prototypes and for missing files.
    """
    configure_cpu()
    if recipe.per_class < 2 or recipe.per_class % 2:
        raise InputError(
            f"--per-class is {recipe.per_class}; half of them come from augmented images: give an even number."
        )
    cache = cache_folder(recipe.data, recipe.out.parent)
    studies = open_studies(recipe.data, "train", cache)
    reports = list(studies.reports())
    labeler = load_labeler(recipe.labeler, recipe.labeler_tokenizer)
    labels = finding_labels(studies, cache, labeler, recipe.workers)
    encoder, plain = read_encoder(recipe.encoder)
    torch.manual_seed(recipe.seed)

    if recipe.text_model is None:
        text, described = tfidf_features(reports, recipe.text_size, recipe.seed), "TF-IDF, SVD"
    else:
        text, described = language_model_features(reports, recipe.text_model), recipe.text_model.name
    halves, image_size = [], 0
    for transform in (plain, replace(plain, augmentation=training_augmentation())):
        images = image_features(encoder, StudyDataset(studies, transform), recipe.workers)
        image_size = images.shape[1]
        vectors = np.concatenate((standardise(images), standardise(text)), axis=1)
        halves.append(cluster(vectors, labels, recipe.per_class // 2, recipe.seed))

    metadata = {
        "format": FORMAT,
        "classes": json.dumps(FINDINGS),
        "studies": json.dumps(labels.sum(0).astype(int).tolist()),
        "sizes": json.dumps([image_size, text.shape[1]]),
        "text": described,
        "labeler": labeler.name,
    }
    with replaced(recipe.out) as temporary:
        save_file({"prototypes": torch.from_numpy(np.concatenate(halves, axis=1))}, temporary, metadata)
    length = image_size + text.shape[1]
    print(f"{recipe.out}: {recipe.per_class} prototypes of length {length} for each of {len(FINDINGS)} classes")
