"""Settings of a process: folders, feedback database and address, read from environment variables."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from rrg.errors import InputError
from rrg.feedback.urls import checked_database_url, sqlite_url

CHECKOUT = Path(__file__).resolve().parents[2]
OAUTH = "oauth"
"""Value of `RRG_AUTH` for users whom Hugging Face logs in."""


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
    hosts: tuple[str, ...] = ()
    """Names, other than localhost and `host`, by which browsers reach the app."""
    auth: str | None = None
    """How users log in: the path of a file of users, "header:NAME" behind a proxy, or `OAUTH`; None for no login."""
    oauth_admins: tuple[str, ...] = ()
    """Accounts of Hugging Face, and organisations as "org:NAME", that are admins with `OAUTH`."""
    oauth_leads: tuple[str, ...] = ()
    oauth_readers: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    """Addresses or networks of the reverse proxies whose headers are believed."""
    space: bool = False
    """Whether the app runs in a Hugging Face Space, whose page frames it."""
    zero_gpu: bool = False
    """Whether that Space lends its GPU for single calls."""
    keep_images: bool = False
    """Whether the images of corrected studies are kept, in `home / "images"`. This needs the patients' consent."""
    mcp: bool = False
    """Whether the app also serves its endpoints as tools of the Model Context Protocol."""
    mirror: str | None = None
    """Dataset repository of the Hugging Face Hub, `owner/name`, to which all records are copied; None for none."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the environment variables that README.md lists. Empty means unset.

        Raises InputError for a port, folder, size, switch, database URL, host, proxy or login that cannot be used.
        Creates nothing.
        """
        # The persistent storage of a Space, where it has one.
        kept = "/data" if environ.get("SPACE_ID") and os.access("/data", os.W_OK) else ""
        home = _path(environ.get("RRG_HOME") or kept or platformdirs.user_data_dir("rrg", appauthor=False))
        return cls(
            home=home,
            # A Hugging Face Space forwards its port from outside the container.
            host=environ.get("HOST") or ("0.0.0.0" if environ.get("SPACE_ID") else "127.0.0.1"),
            port=_port(environ.get("PORT") or "7860"),
            database_url=checked_database_url(environ.get("DATABASE_URL") or sqlite_url(home / "rrg.sqlite3")),
            weights=_folder(environ, "RRG_WEIGHTS") or CHECKOUT / "weights",
            data=_folder(environ, "RRG_DATA"),
            memory=_size(environ.get("RRG_MEMORY") or "2GB"),
            hosts=tuple(map(_host, _listed(environ.get("RRG_HOSTS"), environ.get("SPACE_HOST")))),
            auth=_auth(environ.get("RRG_AUTH")),
            oauth_admins=tuple(_listed(environ.get("RRG_OAUTH_ADMINS"))),
            oauth_leads=tuple(_listed(environ.get("RRG_OAUTH_LEADS"))),
            oauth_readers=tuple(_listed(environ.get("RRG_OAUTH_READERS"))),
            # The address of the proxy in front of a Space is not known, and no other way leads to the app.
            proxies=tuple(map(_proxy, _listed(environ.get("RRG_PROXIES") or ("*" if environ.get("SPACE_ID") else "")))),
            space=bool(environ.get("SPACE_ID")),
            zero_gpu=environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true"),
            keep_images=_switch(environ, "RRG_KEEP_IMAGES"),
            mcp=_switch(environ, "RRG_MCP"),
            mirror=_repository(environ.get("RRG_MIRROR") or ""),
        )

    @property
    def asks_password(self) -> bool:
        """Whether the app itself asks for name and password: `auth` is then the path of a file of users."""
        return self.auth is not None and self.auth != OAUTH and not self.auth.startswith("header:")

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


def _switch(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name) or "0"
    if text not in ("0", "1"):
        raise InputError(f"{name} is {text[:20]!r}: set it to 1 for on or 0 for off.")
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


def _listed(*texts: str | None) -> list[str]:
    """The entries of comma-separated lists."""
    return [entry.strip() for text in texts for entry in (text or "").split(",") if entry.strip()]


def _host(text: str) -> str:
    name = text.lower()
    if not re.fullmatch(r"[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\]", name):
        raise InputError(
            f"RRG_HOSTS names {text[:60]!r}, which is not a host: write names without scheme and port, such as "
            "rrg.hospital.org, separated by commas."
        )
    return name


def _proxy(text: str) -> str:
    try:
        if text != "*":
            ipaddress.ip_network(text)
    except ValueError:
        raise InputError(
            f"RRG_PROXIES names {text[:60]!r}, which is neither an address nor a network: write 10.0.0.5 or "
            "10.0.0.0/24, separated by commas."
        ) from None
    return text


def _auth(text: str | None) -> str | None:
    if not text:
        return None
    if text.lower() == OAUTH:
        return OAUTH
    if text.lower().startswith("header:"):
        if not re.fullmatch(r"header:[A-Za-z0-9-]{1,60}", text, re.IGNORECASE):
            raise InputError(f"RRG_AUTH is {text[:80]!r}: name the header, as in header:X-Remote-User.")
        return "header:" + text[7:].lower()
    return str(_path(text))


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _folder(environ: Mapping[str, str], name: str) -> Path | None:
    if not environ.get(name):
        return None
    folder = _path(environ[name])
    if not folder.is_dir():
        raise InputError(f"{name} is {str(folder)!r}, which is not a folder: correct the path or unset {name}.")
    return folder
