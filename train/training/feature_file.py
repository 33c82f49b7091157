"""Feature maps on disk: one file for a pass of the encoder, read study by study."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.lib.format import open_memmap

from rrg.errors import InputError


class FeatureFile:
    """The feature maps of a pass, float16 [studies, V, C, h, w], and its view masks, bool [studies, V].

    A study is read from the file with each access. The file is not mapped into memory, so the process does not seem to
    grow by what the system caches.
    """

    def __init__(self, path: Path):
        """path: the file of the feature maps; the masks are beside it."""
        header = np.load(path, mmap_mode="r")
        self.path, self.shape, self.dtype = path, header.shape, header.dtype
        self._start: int = header.offset
        self._row = int(np.prod(self.shape[1:]))
        self.view_masks: np.ndarray = np.load(masks_of(path))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> np.ndarray:
        """The feature maps of a study, [V, C, h, w]."""
        offset = self._start + index * self._row * self.dtype.itemsize
        maps = np.fromfile(self.path, self.dtype, self._row, offset=offset)
        return maps.reshape(self.shape[1:])


def masks_of(path: Path) -> Path:
    """The file of the view masks of a file of feature maps."""
    return path.with_suffix(".masks.npy")


class FeatureWriter:
    """Writes a `FeatureFile` row by row. After a kill another writer goes on where it stopped."""

    def __init__(self, path: Path, count: int):
        """path: the file to write; count: number of its studies."""
        self.path, self.count = path, count
        self._part = path.with_suffix(".part.npy")
        self._masks: np.ndarray | None = open_memmap(masks_of(self._part), "r+") if self._part.is_file() else None

    @property
    def done(self) -> int:
        """Number of studies that are written. Each has an image, so its mask is not empty."""
        return 0 if self._masks is None else int(self._masks.any(1).sum())

    def write(self, batches: Iterator[tuple[np.ndarray, np.ndarray]]) -> Iterator[int]:
        """Write batches of feature maps and view masks that follow the written ones; yields the size of each.

        Raises InputError when the disk is too small.
        """
        file, start = None, self.done
        try:
            for maps, masks in batches:
                if self._masks is None:
                    self._masks = self._create(maps, masks)
                if file is None:
                    file = self._part.open("r+b")
                    header = np.load(self._part, mmap_mode="r")
                    first, row = header.offset, int(np.prod(header.shape[1:])) * header.dtype.itemsize
                file.seek(first + start * row)
                file.write(np.ascontiguousarray(maps, np.float16).tobytes())
                file.flush()
                self._masks[start : start + len(masks)] = masks
                start += len(masks)
                yield len(masks)
        finally:
            if file is not None:
                file.close()
        assert self._masks is not None and start == self.count
        del self._masks
        os.replace(masks_of(self._part), masks_of(self.path))
        os.replace(self._part, self.path)

    def _create(self, maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        needed, free = self.count * maps[0].size * 2, shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise InputError(
                f"The features of {self.count} studies take {needed / 1e9:.0f} GB, and {free / 1e9:.0f} GB are free in "
                f"{self.path.parent}. Name a folder on a larger disk by --work, lower --feature-variants, or take "
                "--feature-variants 0, which encodes the images in each step."
            )
        created = open_memmap(masks_of(self._part), "w+", np.bool_, (self.count, *masks.shape[1:]))
        open_memmap(self._part, "w+", np.float16, (self.count, *maps.shape[1:]))
        return created


def lock_of(path: Path) -> FileLock:
    """The lock that the writer of a file holds: a second run waits for the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_suffix(".lock"))
