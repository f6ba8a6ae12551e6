"""A PostgreSQL of the tests' own: its own cluster in a new folder, on a free port of this machine alone, gone afterwards."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "keep-this-secret"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "''",
    "fsync": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "autovacuum": "off",
}


def programs() -> Path | None:
    """The folder with initdb and pg_ctl, of the newest PostgreSQL here; None where there is none."""
    found = shutil.which("pg_ctl")
    if found:
        return Path(found).resolve().parent
    here = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    return here[-1].parent if here else None


class PostgresServer:
    """A cluster that can be started, stopped and asked for new databases."""

    def __init__(self, bin: Path, folder: Path) -> None:
        self._bin = bin
        self._folder = folder
        self._numbers = itertools.count(1)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def make(self) -> None:
        """The cluster's files; its one user must give a password."""
        word = self._folder / "password"
        word.write_text(PASSWORD)
        if os.getuid() == 0:  # which may not run it
            owner = pwd.getpwnam("postgres")
            for path in (self._folder, word):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", str(self._data), "-U", "blogtwin", "-A", "scram-sha-256", "--pwfile", str(word), "-N")

    def start(self) -> None:
        settings = " ".join(f"-c {name}={value}" for name, value in {**_SETTINGS, "port": self.port}.items())
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._folder / "log"), "-w", "-o", settings, "start")

    def stop(self, how: str = "fast") -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", how, "stop")

    def url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgresql://blogtwin:{password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        import psycopg

        name = f"feedback{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _run(self, program: str, *arguments: str) -> None:
        # Its output goes to a file: a server that pg_ctl started would hold a pipe open.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                [str(self._bin / program), *arguments],
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
                cwd="/",
                timeout=60,
                **({"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}),  # type: ignore[call-overload]
            )
            said.seek(0)
            assert done.returncode == 0, said.read().decode()


@contextmanager
def running() -> Iterator[PostgresServer]:
    """A started server, stopped and removed at the end. Only where `programs` are here."""
    bin = programs()
    assert bin is not None
    folder = Path(tempfile.mkdtemp(prefix="blogtwin-postgres-"))
    server = PostgresServer(bin, folder)
    try:
        server.make()
        server.start()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)
