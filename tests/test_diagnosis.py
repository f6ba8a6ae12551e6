"""What `doctor` says of the service: its database and its port."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from blogtwin.config import load_settings
from blogtwin.diagnosis import Finding, diagnose
from blogtwin.feedback.database import Database
from blogtwin.workspace import home


def test_doctor_tells_of_the_database_and_makes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOGTWIN_HOME", str(tmp_path / "home"))

    def database(**feedback: str) -> Finding:
        found = {one.subject: one for one in diagnose(load_settings(overrides={"feedback": feedback}))}
        return found["database"]

    there = home() / "feedback.db"
    assert database().fact == f"none yet; the first deploy makes {there}"
    assert not there.exists()
    Database.open(None).close()
    assert database() == Finding("database", True, f"feedback and versions are in {there}")
    there.write_bytes(b"no database at all, and long enough to be read as one" * 100)
    assert database().usable is False
    with socket.create_server(("127.0.0.1", 0)) as silent:
        gone = database(
            database_url=f"postgresql://me:secret@127.0.0.1:{silent.getsockname()[1]}/blog?connect_timeout=1"
        )
    assert gone.usable is False
    assert "secret" not in gone.fact


def test_doctor_tells_whether_the_server_gets_its_port() -> None:
    def server(**chosen: object) -> Finding:
        return {one.subject: one for one in diagnose(load_settings(overrides={"server": chosen}))}["server"]

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert server(port=port).fact.startswith(f"port {port} is in use")
    assert server(port=port).usable is True
    assert "token" not in server(port=port).fact
    assert "serve` makes anew" in server(host="0.0.0.0", port=port).fact
    assert server(host="no.such.host.invalid", port=port).usable is False
