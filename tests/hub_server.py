"""A model hub for tests: a small server on loopback that answers as the hub's API does.

It has one repository, nobody/tiny, whose branch `main` is a commit; small files are named by git's hash of a blob, large ones
(safetensors) by SHA-256 and sent by way of a redirect, as the real hub does. What it sent is counted, and it can misbehave.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

FIRST, SECOND = "1" * 40, "2" * 40
REPOSITORY = "nobody/tiny"


class Hub:
    """files: name → bytes, as they are at each commit. sent: name → bytes of it that went out. asked: the requests' paths."""

    def __init__(self, folder: Path) -> None:
        self.files = {FIRST: {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}}
        self.main = FIRST
        self.sent: Counter[str] = Counter()
        self.asked: list[str] = []
        self.refusal: tuple[int, str] | None = None  # status and error code, for everything
        self.refused_files: tuple[int, str] | None = None  # for the files alone, as for a gated repository
        self.absent: set[str] = set()  # listed, but not there
        self.damaged: set[str] = set()  # sent with one byte wrong
        self.busy = 0  # so many requests for files are answered with 503
        self.tokens: dict[
            str, str | None
        ] = {}  # name → the Authorization that came with the last request for its bytes
        self.cut_after: list[int] = []  # the next large files end after so many bytes, one entry a request
        self.bytes_a_second = 0  # 0: as fast as it goes
        self.url = ""

    def at(self, revision: str) -> str | None:
        revision = self.main if revision == "main" else revision
        return revision if revision in self.files else None


def hash_of(name: str, content: bytes) -> str:
    if name.endswith(".safetensors"):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


@contextmanager
def serving(folder: Path) -> Iterator[Hub]:
    """The hub with the files of `folder`, until the block ends."""
    hub = Hub(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    timeout = 20

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, body: bool) -> None:
        path = urlparse(self.path).path
        self.hub.asked.append(path)
        if self.hub.refusal:
            self._refuse(*self.hub.refusal)
        elif found := re.fullmatch(rf"/api/models/{REPOSITORY}(?:/revision/(.+))?", path):
            self._about(found[1] or "main")
        elif found := re.fullmatch(rf"/api/models/{REPOSITORY}/tree/([^/]+)/?", path):
            self._tree(found[1])
        elif found := re.fullmatch(rf"/{REPOSITORY}/resolve/([^/]+)/(.+)", path):
            self._file(found[1], found[2], body)
        elif found := re.fullmatch(r"/stored/([0-9a-f]{40})/(.+)", path):
            self._content(found[2], self.hub.files[found[1]][found[2]], body)
        else:
            self._refuse(404, "RepoNotFound")

    def _about(self, revision: str) -> None:
        commit = self.hub.at(revision)
        if commit is None:
            return self._refuse(404, "RevisionNotFound")
        return self._json({"id": REPOSITORY, "modelId": REPOSITORY, "sha": commit, "siblings": []})

    def _tree(self, revision: str) -> None:
        commit = self.hub.at(revision)
        if commit is None:
            return self._refuse(404, "RevisionNotFound")
        entries: list[dict[str, object]] = [{"type": "directory", "path": "onnx", "oid": "0" * 40, "size": 0}]
        for name, content in self.hub.files[commit].items():
            entry = {"type": "file", "path": name, "size": len(content), "oid": hash_of("", content)}
            if name.endswith(".safetensors"):
                entry["lfs"] = {"oid": hash_of(name, content), "size": len(content), "pointerSize": 130}
            entries.append(entry)
        return self._json(entries)

    def _file(self, revision: str, name: str, body: bool) -> None:
        commit = self.hub.at(revision)
        self.hub.tokens[f"hub: {name}"] = self.headers.get("Authorization")
        if self.hub.busy and body:
            self.hub.busy -= 1
            return self._refuse(503, "")
        if self.hub.refused_files:
            return self._refuse(*self.hub.refused_files)
        if commit is None or name not in self.hub.files[commit] or name in self.hub.absent:
            return self._refuse(404, "EntryNotFound")
        content = self.hub.files[commit][name]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hash_of(name, content)}"'}
        if not name.endswith(".safetensors"):
            return self._content(name, content, body, headers)
        self.send_response(302)
        # To another host, as the real hub does; this one has two names.
        self.send_header("Location", f"{self.hub.url.replace('127.0.0.1', 'localhost')}/stored/{commit}/{name}")
        self.send_header("X-Repo-Commit", commit)
        self.send_header("X-Linked-ETag", f'"{hash_of(name, content)}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Content-Length", "0")
        return self.end_headers()

    def _content(self, name: str, content: bytes, body: bool, headers: dict[str, str] | None = None) -> None:
        if name in self.hub.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.hub.tokens[f"store: {name}"] = self.headers.get("Authorization") if not headers else None
        start = 0
        if wanted := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(wanted[1])
        self.send_response(206 if start else 200)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if body:
            end = len(content)
            if name.endswith(".safetensors") and self.hub.cut_after:
                end = min(end, start + self.hub.cut_after.pop(0))
            self._send(name, content[start:end])
            if end < len(content):
                self.close_connection = True

    def _send(self, name: str, content: bytes) -> None:
        piece = self.hub.bytes_a_second // 20 or len(content) or 1
        for first in range(0, len(content), piece):
            try:
                self.wfile.write(content[first : first + piece])
            except OSError:  # the other side was killed
                self.close_connection = True
                return
            self.hub.sent[name] += len(content[first : first + piece])
            if self.hub.bytes_a_second:
                time.sleep(0.05)

    def _json(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()
