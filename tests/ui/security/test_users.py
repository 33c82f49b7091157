"""The file of users."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rrg.errors import InputError
from rrg.ui.security.users import User, UserFile

PASSWORD = "correct horse"


@pytest.fixture
def users(tmp_path: Path) -> UserFile:
    file = UserFile(tmp_path / "users.toml")
    file.add("anna", "reader", PASSWORD)
    file.add("lea.d@hospital.org", "lead", PASSWORD + "2")
    return file


def test_the_right_password_alone_opens(users: UserFile) -> None:
    assert users.verify("anna", PASSWORD) == User("anna", "reader")
    assert users.verify("anna", PASSWORD + "2") is None
    assert users.verify("nobody", PASSWORD) is None
    assert users.verify("anna", "") is None


def test_the_file_has_hashes_and_is_for_its_owner_alone(users: UserFile) -> None:
    text = users.path.read_text()
    assert PASSWORD not in text
    assert text.count("$argon2id$") == 2
    assert users.path.stat().st_mode & 0o077 == 0


def test_a_disabled_user_is_out_at_once(users: UserFile) -> None:
    running = UserFile(users.path)
    assert running.get("anna") == User("anna")
    users.disable("anna")
    assert running.get("anna") is None
    assert running.verify("anna", PASSWORD) is None
    assert running.get("lea.d@hospital.org") == User("lea.d@hospital.org", "lead")


def test_adding_again_changes_role_and_password(users: UserFile) -> None:
    users.disable("anna")
    users.add("anna", "admin", "another password")
    assert users.verify("anna", PASSWORD) is None
    assert users.verify("anna", "another password") == User("anna", "admin")


def test_a_user_of_a_proxy_has_no_password(users: UserFile) -> None:
    users.add("sso", "lead", None)
    assert users.get("sso") == User("sso", "lead")
    assert users.verify("sso", "") is None


@pytest.mark.parametrize(
    ("name", "role", "password", "message"),
    [
        ('a"]\nrole = "admin', "reader", PASSWORD, "no user name"),
        ("", "reader", PASSWORD, "no user name"),
        ("anna", "king", PASSWORD, "no role"),
        ("anna", "reader", "short", "too short"),
    ],
)
def test_unusable_values_are_refused(users: UserFile, name: str, role: str, password: str, message: str) -> None:
    before = users.path.read_text()
    with pytest.raises(InputError, match=message):
        users.add(name, role, password)
    assert users.path.read_text() == before


@pytest.mark.parametrize("text", ["not toml [", "users = 3", "[users.a]\nrole = 'king'", "x = 1"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    file = UserFile(tmp_path / "users.toml")
    file.path.write_text(text)
    with pytest.raises(InputError, match=r"role|cannot be read"):
        file.accounts()
    os.unlink(file.path)
    with pytest.raises(InputError, match="cannot be read"):
        file.accounts()


def test_disabling_an_unknown_user_is_an_error(users: UserFile) -> None:
    with pytest.raises(InputError, match="no user"):
        users.disable("nobody")
