"""Who is believed to be a proxy."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rrg.ui.security.proxies import PEER, ForwardedFor, is_proxy


@pytest.mark.parametrize(
    ("address", "proxies", "expected"),
    [
        ("10.0.0.5", ("10.0.0.0/24",), True),
        ("10.0.1.5", ("10.0.0.0/24", "10.0.1.6"), False),
        ("::1", ("::1",), True),
        ("10.0.0.5", (), False),
        ("", ("10.0.0.0/24",), False),
        ("evil.example", ("10.0.0.0/24",), False),
    ],
)
def test_an_address_is_compared_with_addresses_and_networks(address: str, proxies: Any, expected: bool) -> None:
    assert is_proxy(address, proxies) is expected


@pytest.mark.parametrize(
    ("peer", "proxies", "client", "scheme"),
    [
        ("10.0.0.1", ("10.0.0.1",), "192.0.2.7", "https"),
        ("10.0.0.1", (), "10.0.0.1", "http"),
        ("10.0.0.2", ("10.0.0.1",), "10.0.0.2", "http"),
    ],
)
def test_only_a_proxy_says_who_the_client_is(peer: str, proxies: Any, client: str, scheme: str) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["client"][0], scope["scheme"], scope[PEER]))

    headers = [(b"x-forwarded-for", b"203.0.113.1, 192.0.2.7"), (b"x-forwarded-proto", b"https")]
    scope = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": headers}
    asyncio.run(ForwardedFor(app, proxies)(scope, None, None))  # pyright: ignore[reportArgumentType]
    assert seen == [(client, scheme, peer)]
