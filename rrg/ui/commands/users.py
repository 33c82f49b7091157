"""`python -m rrg users`: who may log in."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import tyro
from tyro.extras import SubcommandApp

from rrg.errors import InputError
from rrg.ui.settings import Settings

Role = Literal["reader", "lead", "admin"]  # as in ui/security/users.py, whose import takes long

users = SubcommandApp()


@users.command
def add(name: Annotated[str, tyro.conf.Positional], role: Role = "reader", sso: bool = False) -> None:
    """Add a user, or give one another role and password. The password is asked for, or read from the input.

    Args:
        name: Name of the user: letters, digits and . _ @ -
        role: A reader sees own records, a lead those of the study, an admin also the users.
        sso: Without a password, for a user whom the proxy of RRG_AUTH=header:NAME logs in.
    """
    from getpass import getpass

    from rrg.ui.security import user_file

    password = None
    if not sso:
        password = getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        if sys.stdin.isatty() and getpass("Again: ") != password:
            raise InputError("The passwords differ. Try again.")
    file = user_file(Settings.from_env())
    file.add(name, role, password)
    print(f"{name} is a {role} in {file.path}")


@users.command(name="list")
def list_users() -> None:
    """List the users with their roles."""
    from rrg.ui.security import user_file

    for account in user_file(Settings.from_env()).accounts().values():
        state = "disabled" if account.disabled else "" if account.password else "single sign-on"
        print(f"{account.user.name:<24} {account.user.role:<8} {state}".rstrip())


@users.command
def disable(name: Annotated[str, tyro.conf.Positional]) -> None:
    """Keep a user from logging in. A running app ends the user's sessions.

    Args:
        name: Name of the user.
    """
    from rrg.ui.security import user_file

    user_file(Settings.from_env()).disable(name)
    print(f"{name} is disabled")
