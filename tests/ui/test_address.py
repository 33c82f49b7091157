"""Checks of the address before the start."""

from __future__ import annotations

import os
import socket

import pytest

from rrg.errors import InputError
from rrg.ui.address import bypass_proxy, check_address


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"Port {port} is in use"):
            check_address("127.0.0.1", port)
    check_address("127.0.0.1", port)


def test_a_foreign_address_is_named() -> None:
    with pytest.raises(InputError, match="Set HOST"):
        check_address("192.0.2.1", 7860)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may use all ports")
def test_a_reserved_port_is_named() -> None:
    with pytest.raises(InputError, match="reserved"):
        check_address("127.0.0.1", 80)


def test_the_own_address_needs_no_proxy() -> None:
    environ = {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "intranet"}
    bypass_proxy(environ, "10.0.0.1")
    assert environ["NO_PROXY"] == "intranet,localhost,127.0.0.1,::1,10.0.0.1"
    assert environ["no_proxy"] == "localhost,127.0.0.1,::1,10.0.0.1"
    everything = {"NO_PROXY": "*"}
    bypass_proxy(everything, "0.0.0.0")
    assert everything["NO_PROXY"] == "*"
