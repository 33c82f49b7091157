"""Settings of a process: folders, feedback database and address, read from environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from rrg.errors import InputError
from rrg.feedback.urls import checked_database_url, sqlite_url

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Settings:
    """The settings of one process. `from_env` is the only place that reads environment variables."""

    home: Path
    """Folder of the database and the caches."""
    host: str
    """Address on which the app listens."""
    port: int
    database_url: str = field(repr=False)
    """SQLAlchemy URL of the feedback database. Not in the repr: it may carry a password."""
    weights: Path
    """Folder with one folder of weights per model."""
    data: Path | None
    """Folder with annotation.json and images, whose studies the app lists; None for no list."""
    memory: int = 2 * 10**9
    """Bytes that the weights of loaded models may take together."""
    keep_images: bool = False
    """Whether the images of corrected studies are kept, in `home / "images"`. This needs the patients' consent."""
    mirror: str | None = None
    """Dataset repository of the Hugging Face Hub, `owner/name`, to which all records are copied; None for none."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read RRG_HOME, HOST, SPACE_ID, PORT, DATABASE_URL, RRG_WEIGHTS, RRG_DATA, RRG_MEMORY, RRG_KEEP_IMAGES and
        RRG_MIRROR.

        Empty means unset. Raises InputError for a port, folder, size, switch or database URL that cannot be used.
        Creates nothing.
        """
        home = _path(environ.get("RRG_HOME") or platformdirs.user_data_dir("rrg", appauthor=False))
        return cls(
            home=home,
            # A Hugging Face Space forwards its port from outside the container.
            host=environ.get("HOST") or ("0.0.0.0" if environ.get("SPACE_ID") else "127.0.0.1"),
            port=_port(environ.get("PORT") or "7860"),
            database_url=checked_database_url(environ.get("DATABASE_URL") or sqlite_url(home / "rrg.sqlite3")),
            weights=_folder(environ, "RRG_WEIGHTS") or CHECKOUT / "weights",
            data=_folder(environ, "RRG_DATA"),
            memory=_size(environ.get("RRG_MEMORY") or "2GB"),
            keep_images=_switch(environ.get("RRG_KEEP_IMAGES") or "0"),
            mirror=_repository(environ.get("RRG_MIRROR") or ""),
        )

    @property
    def images(self) -> Path | None:
        """Folder of the kept images; None when none are kept."""
        return self.home / "images" if self.keep_images else None

    def make_home(self) -> None:
        """Create the home, for its owner alone. Raises InputError when that cannot be done."""
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise InputError(
                f"The folder {str(self.home)!r} cannot be made ({error.strerror}). "
                "Set RRG_HOME to a folder that can be written."
            ) from error


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise InputError(f"PORT is {text[:20]!r}, which is not a port: set it to a whole number from 1 to 65535.")
    return int(text)


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise InputError(f"RRG_KEEP_IMAGES is {text[:20]!r}: set it to 1 to keep images, or to 0.")
    return text == "1"


def _repository(text: str) -> str | None:
    if text and re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", text) is None:
        raise InputError(f"RRG_MIRROR is {text[:40]!r}, which is not a repository: write it as owner/name.")
    return text or None


def _size(text: str) -> int:
    """Bytes of a size such as 2GB or 1500 MB; 1 GB is 10^9 bytes."""
    match = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?([GM])B", text.strip(), re.IGNORECASE)
    size = round(float(match[1]) * {"g": 10**9, "m": 10**6}[match[2].lower()]) if match else 0
    if not size:
        raise InputError(f"RRG_MEMORY is {text[:20]!r}, which is not a size: write it as 2GB or 1500MB.")
    return size


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _folder(environ: Mapping[str, str], name: str) -> Path | None:
    if not environ.get(name):
        return None
    folder = _path(environ[name])
    if not folder.is_dir():
        raise InputError(f"{name} is {str(folder)!r}, which is not a folder: correct the path or unset {name}.")
    return folder
