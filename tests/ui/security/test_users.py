"""The file of users."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
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


def test_role_password_and_state_change_alone(users: UserFile) -> None:
    users.set_role("anna", "lead")
    assert users.verify("anna", PASSWORD) == User("anna", "lead")
    users.set_password("anna", "another password")
    assert users.verify("anna", PASSWORD) is None
    users.disable("anna")
    assert users.verify("anna", "another password") is None
    users.enable("anna")
    assert users.verify("anna", "another password") == User("anna", "lead")
    for change in (users.enable, users.disable):
        with pytest.raises(InputError, match="no user"):
            change("nobody")
    with pytest.raises(InputError, match="no role"):
        users.set_role("anna", "king")
    with pytest.raises(InputError, match="too short"):
        users.set_password("anna", "short")


def test_an_existing_user_is_overwritten_only_where_that_is_meant(users: UserFile) -> None:
    with pytest.raises(InputError, match="already"):
        users.add("anna", "admin", "another password", overwrite=False)
    assert users.verify("anna", PASSWORD) == User("anna", "reader")


def test_the_last_admin_stays_where_that_is_asked_for(users: UserFile) -> None:
    users.add("root", "admin", PASSWORD)
    for change in (lambda: users.disable("root", keep_admin=True), lambda: users.set_role("root", "lead", True)):
        with pytest.raises(InputError, match="last admin"):
            change()
    assert users.verify("root", PASSWORD) == User("root", "admin")
    users.set_role("anna", "admin")
    users.disable("root", keep_admin=True)
    users.disable("anna")
    assert users.get("anna") is None


def test_changes_of_two_processes_do_not_overwrite_each_other(users: UserFile) -> None:
    files = [UserFile(users.path) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda pair: pair[1].add(f"user{pair[0]}", "reader", None), enumerate(files)))
    assert {f"user{number}" for number in range(8)} < users.accounts().keys()


def test_a_file_that_cannot_be_written_is_said(users: UserFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match="Nothing was changed"):
        users.disable("anna")
