"""Login by Hugging Face on a Space: Gradio's own OAuth says who the user is, the settings say what the user may do.

Gradio keeps what Hugging Face answered in a signed cookie until the login ends (`hf_oauth_expiration_minutes`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from starlette.types import Scope

from rrg.errors import InputError
from rrg.ui.security.users import Role, User
from rrg.ui.settings import Settings

LOGIN = "/login/huggingface"
CALLBACK = "/login/callback"
"""Routes of Gradio."""
ORGANISATION = "org:"
"""Stands before the name of an organisation whose members are meant."""


@dataclass(frozen=True)
class OAuthRoles:
    """Names of accounts, and of organisations as `org:NAME`, with the role they have. Nobody else may come in."""

    admins: tuple[str, ...] = ()
    leads: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> OAuthRoles:
        """Read the settings. Raises InputError where nobody could log in, or Gradio cannot ask Hugging Face."""
        from gradio import oauth  # here: most processes ask for no such login

        roles = cls(settings.oauth_admins, settings.oauth_leads, settings.oauth_readers)
        if roles == cls():
            raise InputError("RRG_AUTH is oauth, and no one may log in. Name accounts in RRG_OAUTH_READERS.")
        if not settings.space or oauth.OAUTH_CLIENT_ID is None:
            raise InputError("RRG_AUTH=oauth works in a Hugging Face Space with `hf_oauth: true` in its README.md.")
        if find_spec("authlib") is None or find_spec("itsdangerous") is None:
            raise InputError('RRG_AUTH=oauth needs further packages: pip install -e ".[oauth]"')
        return roles

    def role(self, name: str, organisations: Sequence[str]) -> Role | None:
        """Return the highest role of an account, or None for one that may not come in."""
        known = {name.lower(), *(f"{ORGANISATION}{one.lower()}" for one in organisations)}
        listed: tuple[tuple[Role, tuple[str, ...]], ...] = (
            ("admin", self.admins),
            ("lead", self.leads),
            ("reader", self.readers),
        )
        return next((role for role, names in listed if known & {one.lower() for one in names}), None)


def account_of(scope: Scope, roles: OAuthRoles) -> tuple[str, User | None] | None:
    """Return the name of the account that is logged in and the user it is, None where it has no role.

    None where nobody is logged in, or the login has ended.
    """
    info = scope.get("session", {}).get("oauth_info")
    if not isinstance(info, dict) or not info.get("expires_at") or info["expires_at"] < time.time():
        return None
    profile: dict[str, Any] = info.get("userinfo") or {}
    name = profile.get("preferred_username")
    if not isinstance(name, str) or not name:
        return None
    organisations = [one.get("preferred_username") or "" for one in profile.get("orgs") or ()]
    role = roles.role(name, organisations)
    return name, User(name, role) if role else None


def log_out(scope: Scope) -> None:
    """Forget who is logged in."""
    scope.get("session", {}).pop("oauth_info", None)
