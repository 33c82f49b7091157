"""The models in a folder of weights, loaded on first use."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rrg.errors import InputError
from rrg.inference.weights import count_parameters, model_type, shared_encoder, weights_digest
from rrg.models import ARCHITECTURES

if TYPE_CHECKING:
    from rrg.inference.reporter import Reporter


@dataclass(frozen=True)
class ModelInfo:
    """One entry of the list of models."""

    name: str
    """Name of the folder in `weights/`."""
    title: str
    paper: str
    available: bool
    """False for an architecture that has no weights yet."""
    weights_sha256: str | None
    parameters: int | None
    note: str
    """For the user: the command that trains the model, if it has no weights."""


class ModelLibrary:
    """Folders of trained weights under one folder. Safe to use from several threads."""

    def __init__(self, weights: Path):
        self.weights = Path(weights)
        self._reporters: dict[str, Reporter] = {}
        self._sharing: dict[tuple[Path, str], Reporter] = {}
        """The first reporter with each shared image encoder. Later ones take its encoder and its feature cache."""
        self._lock = threading.Lock()

    def list(self) -> list[ModelInfo]:
        """Every architecture, with or without weights, then further folders of weights. No model is loaded."""
        folders = {path.parent.name: path.parent for path in sorted(self.weights.glob("*/config.json"))}
        kinds = {name: model_type(folder) for name, folder in folders.items()}
        further = (name for name, kind in kinds.items() if name not in ARCHITECTURES and kind in ARCHITECTURES)
        return [self._info(name, kinds.get(name) or name, folders.get(name)) for name in (*ARCHITECTURES, *further)]

    @staticmethod
    def _info(name: str, kind: str, folder: Path | None) -> ModelInfo:
        architecture = ARCHITECTURES[kind]
        if folder is None:
            note = f"No weights yet. Train it: make train MODEL={name} DATA=folder && cp -r runs/{name} weights/{name}"
            return ModelInfo(name, architecture.title, architecture.paper, False, None, None, note)
        digest, parameters = weights_digest(folder), count_parameters(folder)
        return ModelInfo(name, architecture.title, architecture.paper, True, digest, parameters, "")

    def reporter(self, name: str) -> Reporter:
        """The model called `name`, loaded once. Raises InputError for one that is unknown or has no weights."""
        with self._lock:
            if name not in self._reporters:
                self._reporters[name] = self._load(name)
            return self._reporters[name]

    def _load(self, name: str) -> Reporter:
        infos = {info.name: info for info in self.list()}
        if name not in infos:
            raise InputError(f"There is no model {name!r}. Choose one of: {', '.join(infos)}.")
        if not infos[name].available:
            raise InputError(f"The model {name!r} cannot be used. {infos[name].note}")
        from transformers.utils import logging  # imported here: this and the next imports take seconds

        from rrg.inference.loading import load_model
        from rrg.inference.reporter import Reporter

        logging.disable_progress_bar()  # it would appear in the output of the command line
        folder = self.weights / name
        shared = shared_encoder(folder)
        first = self._sharing.get(shared) if shared is not None else None
        loaded = load_model(folder, image_encoder=None if first is None else first.model.image_encoder)
        reporter = Reporter(loaded, None if first is None else first.feature_cache)
        if shared is not None:
            self._sharing.setdefault(shared, reporter)
        return reporter
