"""The models in a folder of weights: listed with their figures, loaded on first use, kept within a memory budget."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rrg.errors import InputError
from rrg.inference.val_figures import ValFigures, read_val_figures
from rrg.inference.weights import check_weights, count_parameters, model_type, shared_encoder, weights_digest
from rrg.models import ARCHITECTURES

if TYPE_CHECKING:
    from rrg.decoding.progress import ProgressCallback
    from rrg.inference.reporter import Reporter


@dataclass(frozen=True)
class ModelInfo:
    """One entry of the list of models."""

    name: str
    """Name of the folder in `weights/`."""
    title: str
    paper: str
    available: bool
    """False for an architecture that has no weights yet, and for weights that cannot be read."""
    weights_sha256: str | None
    parameters: int | None
    note: str
    """For the user: why a model is not available, and what to do; that the best one is the best."""
    val: ValFigures | None = None
    """Figures of these weights on a val split; None where they were not measured."""
    best: bool = False
    """Whether its `val.score` is the highest of the available models. This model is offered first."""


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A model in memory."""

    reporter: Reporter
    shared: tuple[Path, str] | None
    """Key of the image encoder that it shares."""
    own_bytes: int
    """Bytes without a shared image encoder."""
    encoder_bytes: int
    """Bytes of the image encoder, counted once for all models that share it."""


class ModelLibrary:
    """Folders of trained weights under one folder. Safe to use from several threads.

    Models stay in memory until they exceed `max_bytes` together; then the least recently used ones are dropped. A
    caller that still uses a dropped model keeps it, and gets the same one if it asks again.
    """

    def __init__(self, weights: Path | str, max_bytes: int | None = None, device: str | None = None):
        """Load nothing yet.

        Args:
            weights: the folder with one folder of weights per model.
            max_bytes: budget for the weights in memory; none by default. The model asked for is always kept.
            device: a torch device; by default the GPU where there is one.
        """
        self.weights = Path(weights)
        self.device = device
        self.max_bytes = max_bytes
        self._models: OrderedDict[str, _Loaded] = OrderedDict()
        """The models in memory, least recently used first."""
        self._dropped: weakref.WeakValueDictionary[str, Reporter] = weakref.WeakValueDictionary()
        """Dropped models that someone still uses."""
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def list(self) -> list[ModelInfo]:
        """Every architecture, with or without weights, then further folders of weights. No model is loaded."""
        folders = self._folders()
        infos = [self._info(name, folders.get(name)) for name in dict.fromkeys((*ARCHITECTURES, *folders))]
        measured = [info for info in infos if info.available and info.val is not None]
        best = max(measured, key=lambda info: info.val.score if info.val else 0, default=None)
        if best is None or best.val is None:
            return infos
        note = f"Best of {len(measured)} models on val: {best.val.reason}."
        return [replace(info, best=True, note=note) if info is best else info for info in infos]

    def is_loaded(self, name: str) -> bool:
        """Whether the model is in memory, so that `reporter` returns at once."""
        return name in self._models

    def reporter(self, name: str, progress: ProgressCallback | None = None) -> Reporter:
        """The model called `name`, loaded on first use.

        `progress` is called before and after loading, with the step "loading model"; not for a model in memory.

        Raises InputError for a model that is unknown, has no weights, or whose weights cannot be read.
        """
        found = self._find(name)
        if found is not None:
            return found
        with self._loading:
            found = self._find(name)
            if found is None:
                from rrg.decoding.progress import Progress  # imported here, because it imports torch

                if progress is not None:
                    progress(Progress("loading model", 0, 1))
                loaded = self._load(name)
                found = loaded.reporter
                self._keep(name, loaded)
                if progress is not None:
                    progress(Progress("loading model", 1, 1))
            return found

    def _find(self, name: str) -> Reporter | None:
        """The model in memory; it becomes the most recently used one."""
        with self._lock:
            if name in self._models:
                self._models.move_to_end(name)
                return self._models[name].reporter
        return None

    def _keep(self, name: str, loaded: _Loaded) -> None:
        """Keep a model in memory, and drop others while all together exceed the budget."""
        with self._lock:
            self._models[name] = loaded
            before = len(self._models)
            while self.max_bytes is not None and len(self._models) > 1 and self._bytes() > self.max_bytes:
                self._drop_least_recent()
            is_dropped = len(self._models) < before
        if is_dropped:
            gc.collect()  # modules refer to each other, so that counting references does not free all of them

    def _drop_least_recent(self) -> None:
        name, model = self._models.popitem(last=False)
        self._dropped[name] = model.reporter

    def _bytes(self) -> int:
        """Bytes of the weights in memory."""
        models = self._models.values()
        encoders = {model.shared or id(model): model.encoder_bytes for model in models}
        return sum(model.own_bytes for model in models) + sum(encoders.values())

    def _folders(self) -> dict[str, Path]:
        """The folders with a config.json of a known architecture, or with one that cannot be read, by name."""
        found = {}
        for config in sorted(self.weights.glob("*/config.json")):
            folder = config.parent
            try:
                is_known = model_type(folder) in ARCHITECTURES
            except InputError:
                is_known = True  # it is listed with the reason
            if is_known or folder.name in ARCHITECTURES:
                found[folder.name] = folder
        return found

    @staticmethod
    def _info(name: str, folder: Path | None) -> ModelInfo:
        architecture = ARCHITECTURES.get(name)
        title, paper = (architecture.title, architecture.paper) if architecture else (name, "")
        if folder is None:
            note = f"No weights yet. Train it: make train MODEL={name} DATA=folder && cp -r runs/{name} weights/{name}"
            return ModelInfo(name, title, paper, False, None, None, note)
        try:
            architecture = ARCHITECTURES[check_weights(folder)]
            digest, parameters = weights_digest(folder), count_parameters(folder)
            val = read_val_figures(folder, digest)
        except InputError as error:
            return ModelInfo(name, title, paper, False, None, None, str(error))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            # A value of another kind than it should be. The other models must stay usable.
            note = f"Its files are damaged ({type(error).__name__}). Copy the whole folder again, or train it again."
            return ModelInfo(name, title, paper, False, None, None, note)
        return ModelInfo(name, architecture.title, architecture.paper, True, digest, parameters, "", val)

    def _load(self, name: str) -> _Loaded:
        with self._lock:
            used = self._dropped.get(name)
        folders = self._folders()
        if name not in folders and name not in ARCHITECTURES:
            known = dict.fromkeys((*ARCHITECTURES, *folders))
            raise InputError(f"There is no model {name!r}. Choose one of: {', '.join(known)}.")
        info = self._info(name, folders.get(name))
        if not info.available:
            raise InputError(f"The model {name!r} cannot be used. {info.note}")
        from transformers.utils import logging  # imported here: this and the next imports take seconds

        from rrg.inference.loading import load_model, tensor_bytes
        from rrg.inference.reporter import Reporter

        logging.disable_progress_bar()  # it would appear in the output of the command line
        folder = folders[name]
        shared = shared_encoder(folder)
        if used is None:
            first = self._sharing(shared)
            try:
                encoder = None if first is None else first.model.image_encoder
                loaded = load_model(folder, self.device, encoder)
            except InputError:
                raise
            except (OSError, ValueError, RuntimeError, LookupError, TypeError) as error:
                reason = " ".join(str(error).split())[:300]
                raise InputError(
                    f"The model {name!r} cannot be loaded ({reason}). Copy its whole folder again, or train it again."
                ) from error
            used = Reporter(loaded, None if first is None else first.feature_cache)
        encoder_bytes = tensor_bytes(used.model.image_encoder)
        return _Loaded(used, shared, tensor_bytes(used.model) - encoder_bytes, encoder_bytes)

    def _sharing(self, shared: tuple[Path, str] | None) -> Reporter | None:
        """A model in memory with this image encoder. A new one takes its encoder and its feature cache."""
        with self._lock:
            models = self._models.values() if shared is not None else ()
            return next((model.reporter for model in models if model.shared == shared), None)
