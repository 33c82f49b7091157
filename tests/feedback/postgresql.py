"""A PostgreSQL server of the tests' own, from the binaries of the system, on a socket in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path


class NoServer(Exception):
    """There is no PostgreSQL on this machine. The message says what is missing."""


class Server:
    """A server that runs until `remove`. Its superuser needs no password; only its own socket leads to it."""

    def __init__(self) -> None:
        if find_spec("psycopg") is None:
            raise NoServer("needs psycopg: pip install 'rrg[postgres]'")
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: float(file.parts[-3]))
        initdb = found[-1] if found else shutil.which("initdb")
        if initdb is None:
            raise NoServer("needs a PostgreSQL server: apt-get install postgresql, or RRG_TEST_POSTGRES=URL")
        self._binaries = Path(initdb).parent
        # PostgreSQL refuses to run as root; a short path, since that of a socket is limited.
        self._user = "nobody" if os.getuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="rrg-pg-", dir="/tmp"))
        if self._user:
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
        self._run("initdb", "-D", "data", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-locale", "-N")
        self.start()

    @property
    def url(self) -> str:
        """URL of the database `postgres`."""
        return f"postgresql://postgres@/postgres?host={self._folder}"

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories='{self._folder}' -c max_connections=60"
        self._run("pg_ctl", "-D", "data", "-l", "log", "-o", options, "-w", "start")

    def stop(self) -> None:
        """Stop the server at once, as in a crash."""
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")

    def remove(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, *arguments],
            cwd=self._folder,
            user=self._user,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
