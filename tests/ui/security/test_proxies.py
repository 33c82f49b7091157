"""Who is believed to be a proxy."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rrg.ui.security.proxies import PEER, ForwardedFor, is_on_this_machine, is_proxy


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


@pytest.mark.parametrize(
    ("peer", "host", "headers", "proxies", "expected"),
    [
        ("127.0.0.1", b"127.0.0.1:7860", {}, (), True),
        ("127.0.0.5", b"localhost:7860", {}, (), True),
        ("::1", b"[::1]:7860", {}, (), True),
        ("::ffff:127.0.0.1", b"127.0.0.1", {}, (), True),
        ("10.0.0.7", b"127.0.0.1:7860", {}, (), False),
        ("", b"127.0.0.1:7860", {}, (), False),
        ("127.0.0.1", b"rrg.hospital.org", {}, (), False),
        ("127.0.0.1", b"localhost", {b"x-forwarded-host": b"a"}, (), False),
        ("127.0.0.1", b"localhost", {b"x-real-ip": b"127.0.0.1"}, (), False),
        ("127.0.0.1", b"localhost", {b"forwarded": b"for=127.0.0.1"}, (), False),
        ("127.0.0.1", b"localhost", {}, ("127.0.0.1",), False),
        ("127.0.0.1", b"localhost", {}, ("*",), False),
    ],
)
def test_who_is_on_the_machine_of_the_app(
    peer: str, host: bytes, headers: dict[bytes, bytes], proxies: Any, expected: bool
) -> None:
    scope = {"type": "http", PEER: peer, "headers": [(b"host", host), *headers.items()]}
    assert is_on_this_machine(scope, proxies) is expected
