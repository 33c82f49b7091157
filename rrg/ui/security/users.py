"""Users of the app: a TOML file with argon2 hashes and roles, which `python -m rrg users` writes.

[users."anna"]
role = "reader"
password = "$argon2id$..."
disabled = false
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Literal, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from filelock import FileLock, Timeout

from rrg.data.files import replaced
from rrg.errors import InputError
from rrg.ui.settings import Settings

Role = Literal["reader", "lead", "admin"]
"""A reader sees own records, a lead those of the study, an admin also the users."""
USERS_FILE = "users.toml"
"""File in RRG_HOME that gives roles to users whom somebody else logs in."""
MIN_PASSWORD = 10
LOCK_SECONDS = 10
"""Seconds to wait for another process that changes the file."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASHER = PasswordHasher()


@dataclass(frozen=True)
class User:
    """Someone who logged in."""

    name: str
    role: Role = "reader"

    @property
    def is_lead(self) -> bool:
        """Whether the user sees the records of all readers."""
        return self.role in ("lead", "admin")

    @property
    def is_admin(self) -> bool:
        """Whether the user sees and changes the users."""
        return self.role == "admin"


@dataclass(frozen=True)
class Account:
    """One entry of the file."""

    user: User
    password: str
    """Argon2 hash; empty for a user whom a proxy logs in."""
    disabled: bool = False


class UserFile:
    """The file of users. It is read again when it changes, so that a disabled user is out at once."""

    def __init__(self, path: Path, passwords: bool = True) -> None:
        """`passwords`: the app asks for them; else somebody else logs users in, and the file gives roles."""
        self.path = path
        self.passwords = passwords
        self._lock = Lock()
        self._read: tuple[tuple[int, int], dict[str, Account]] | None = None

    def accounts(self) -> dict[str, Account]:
        """Return all accounts by name. Raises InputError for a file that cannot be read."""
        try:
            status = self.path.stat()
        except OSError as error:
            raise InputError(f"The file of users {self.path} cannot be read: {error.strerror}.") from error
        state = (status.st_mtime_ns, status.st_ino)
        with self._lock:
            if self._read is None or self._read[0] != state:
                self._read = (state, self._parse())
            return self._read[1]

    def get(self, name: str) -> User | None:
        """Return a user who may use the app, or None."""
        account = self.accounts().get(name)
        return account.user if account and not account.disabled else None

    def verify(self, name: str, password: str) -> User | None:
        """Return the user if the password is right. A wrong name takes as long as a wrong password."""
        account = self.accounts().get(name)
        stored = account.password if account and account.password else _decoy()
        try:
            _HASHER.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return None
        return account.user if account and account.password and not account.disabled else None

    def add(self, name: str, role: str, password: str | None, overwrite: bool = True) -> None:
        """Add a user, or give an existing one another role and password where `overwrite` allows it.

        The password is None for a user whom somebody else logs in. Raises InputError for unusable values.
        """
        if not _NAME.fullmatch(name):
            raise InputError(f"{name[:70]!r} is no user name: use up to 64 letters, digits and . _ @ -")
        account = Account(User(name, _checked_role(role)), _hashed(password))
        with self._changing() as accounts:
            if name in accounts and not overwrite:
                raise InputError(f"There is a user {name!r} already. Change that one, or choose another name.")
            accounts[name] = account

    def set_role(self, name: str, role: str, keep_admin: bool = False) -> None:
        """Give a user another role.

        Raises InputError for an unknown name or role and, with `keep_admin`, where no admin would be left.
        """
        checked = _checked_role(role)
        with self._changing(keep_admin) as accounts:
            known = self._known(accounts, name)
            accounts[name] = replace(known, user=User(name, checked))

    def set_password(self, name: str, password: str) -> None:
        """Give a user another password, which ends what is logged in. Raises InputError for unusable values."""
        hashed = _hashed(password)
        with self._changing() as accounts:
            accounts[name] = replace(self._known(accounts, name), password=hashed)

    def disable(self, name: str, keep_admin: bool = False) -> None:
        """Keep a user from logging in, and end what is logged in. Raises InputError as `set_role` does."""
        with self._changing(keep_admin) as accounts:
            accounts[name] = replace(self._known(accounts, name), disabled=True)

    def enable(self, name: str) -> None:
        """Let a disabled user log in again. Raises InputError for an unknown name."""
        with self._changing() as accounts:
            accounts[name] = replace(self._known(accounts, name), disabled=False)

    @contextmanager
    def _changing(self, keep_admin: bool = False) -> Iterator[dict[str, Account]]:
        """Give the accounts to change, then write them. Other processes wait."""
        try:
            with FileLock(self.path.with_name(f"{self.path.name}.lock"), timeout=LOCK_SECONDS):
                accounts = dict(self.accounts()) if self.path.exists() else {}
                yield accounts
                if keep_admin and not any(one.user.is_admin and not one.disabled for one in accounts.values()):
                    raise InputError("This is the last admin. Give another user the role admin first.")
                self._write(accounts)
        except (OSError, Timeout) as error:
            raise InputError(
                f"The file of users {self.path} cannot be written ({type(error).__name__}). Nothing was changed. Make "
                "its folder writable, then try again."
            ) from error

    def _known(self, accounts: Mapping[str, Account], name: str) -> Account:
        if name not in accounts:
            raise InputError(f"There is no user {name!r} in {self.path}.")
        return accounts[name]

    def _parse(self) -> dict[str, Account]:
        try:
            users = tomllib.loads(self.path.read_text(encoding="utf-8"))["users"]
            return {name: _account(name, values) for name, values in users.items()}
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, AttributeError, TypeError) as error:
            raise InputError(
                f"The file of users {self.path} cannot be read ({type(error).__name__}). "
                "Write it with: python -m rrg users add NAME"
            ) from error

    def _write(self, accounts: dict[str, Account]) -> None:
        entries = [
            f"[users.{_quoted(name)}]\nrole = {_quoted(account.user.role)}\npassword = {_quoted(account.password)}\n"
            f"disabled = {str(account.disabled).lower()}\n"
            for name, account in sorted(accounts.items())
        ]
        with replaced(self.path) as temporary:
            temporary.touch(mode=0o600)
            temporary.write_text("\n".join(entries), encoding="utf-8")


def user_file(settings: Settings) -> UserFile:
    """Return the file of users that the settings name, else the one in RRG_HOME."""
    if settings.asks_password:
        return UserFile(Path(settings.auth or ""))
    return UserFile(settings.home / USERS_FILE, passwords=False)


def _checked_role(role: str) -> Role:
    for known in get_args(Role):
        if role == known:
            return known
    raise InputError(f"{role!r} is no role: choose {', '.join(get_args(Role))}.")


def _hashed(password: str | None) -> str:
    """The hash of a password, empty without one. Raises InputError for a short one."""
    if password is not None and len(password) < MIN_PASSWORD:
        raise InputError(f"The password is too short: choose one of at least {MIN_PASSWORD} characters.")
    return "" if password is None else _HASHER.hash(password)


def _account(name: str, values: dict[str, object]) -> Account:
    role = values["role"]
    if role not in get_args(Role):
        raise InputError(f"The user {name!r} has the role {role!r}: choose {', '.join(get_args(Role))}.")
    password, disabled = values.get("password", ""), values.get("disabled", False)
    if not isinstance(password, str) or not isinstance(disabled, bool):
        raise TypeError
    return Account(User(name, role), password, disabled)  # pyright: ignore[reportArgumentType]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # also a string of TOML


_decoys: list[str] = []


def _decoy() -> str:
    """A hash that no password has."""
    if not _decoys:
        _decoys.append(_HASHER.hash("no password has this hash"))
    return _decoys[0]
