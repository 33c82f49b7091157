"""The address of the app: checks and settings before the server starts."""

from __future__ import annotations

import errno
import socket
from collections.abc import MutableMapping

from rrg.errors import InputError


def check_address(host: str, port: int) -> None:
    """Raise InputError when the app cannot listen there: the port is in use or reserved, or the host is not here."""
    name = host.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise InputError(_reason(error, host, port)) from error


def _reason(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use, perhaps by this app. End that program, or set PORT to another number."
    if error.errno == errno.EACCES:
        return f"Port {port} is reserved for the system. Set PORT to a number above 1023."
    return f"The app cannot listen on {host!r}. Set HOST to an address of this machine, such as 127.0.0.1."


def bypass_proxy(environ: MutableMapping[str, str], host: str) -> None:
    """Keep requests of the app to itself away from the proxy that HTTP_PROXY names. Gradio sends some at its start."""
    own = ["localhost", "127.0.0.1", "::1"] + ([host] if host not in ("", "0.0.0.0", "::") else [])
    for name in ("NO_PROXY", "no_proxy"):
        listed = [entry.strip() for entry in environ.get(name, "").split(",") if entry.strip()]
        if "*" not in listed:
            environ[name] = ",".join(dict.fromkeys((*listed, *own)))
