"""A port, and the application that answers there until it is told to end. In: an address. Out: nothing."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn

from blogtwin.errors import UsageError

if TYPE_CHECKING:
    from fastapi import FastAPI

_GRACE = 3  # seconds for answers that are being written when the server is told to end
_WAITING = 256  # connections that are not yet accepted
_SWITCH = 0.0005  # seconds that a thread may keep others from Python: one that reads tokens must not hold up requests for 5 ms


def bind(host: str, port: int) -> socket.socket:
    """The port, taken before anything slow begins; 0: a free one. Raises UsageError when it cannot be had."""
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=kind, backlog=_WAITING)
    except socket.gaierror as fault:
        raise UsageError(
            f"{host} is no address of this machine", "serve this machine alone: --host 127.0.0.1"
        ) from fault
    except OSError as fault:
        if fault.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} is in use, perhaps by another `blogtwin serve`", f"take another: --port {port + 1}"
            ) from fault
        if fault.errno == errno.EACCES:
            raise UsageError(f"port {port} is not allowed to you", "take one above 1023: --port 8000") from fault
        raise UsageError(f"{host}:{port} cannot be listened on: {fault.strerror}", "choose another --host") from fault


def address(host: str, listening: socket.socket) -> str:
    """The URL under which a browser finds it."""
    port = listening.getsockname()[1]
    if host in ("0.0.0.0", "::", ""):
        host = _own_address()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: FastAPI, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C or a signal. ready: called when the first request can come.

    uvicorn takes uvloop where that exists, and httptools: beside a model that is writing, requests are answered sooner
    (bench/serve.py, docs/serving.md).
    """
    sys.setswitchinterval(_SWITCH)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # addresses may hold the token
        server_header=False,
        proxy_headers=False,  # what a client says of its own address would get it round the limits
        ws="none",
        timeout_graceful_shutdown=_GRACE,
    )
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_Announced(config, ready).serve([listening]))


class _Announced(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._ready()


def _own_address() -> str:
    """The address that others on the network know this machine by; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))
            return str(asked.getsockname()[0])
        except OSError:
            return "127.0.0.1"
