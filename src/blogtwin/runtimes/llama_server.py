"""One model loaded by the embedded llama.cpp: its server, inside this process, on the loopback device.

In: a GGUF, and an adapter's GGUF where there is one. Out: an HTTP client for llama.cpp's own server, which answers several
requests at once (`slots`), each with a context of its own, so that none can push out what another one has said.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blogtwin.errors import RuntimeUnavailable
from blogtwin.runtimes.answer import Connection

if TYPE_CHECKING:
    import httpx

_ANSWER = 3600.0  # seconds without a byte: a long prompt on a slow processor; the server is our own


class LlamaServer:
    """context: tokens of each conversation. slots: conversations at once; more wait for their turn."""

    def __init__(self, engine: Any, secret: str, context: int, slots: int) -> None:
        self._engine = engine
        self.address = str(engine.listening_address)
        self.context, self.slots = context, slots
        self._secret = secret
        self._open: set[Connection] = set()

    def client(self) -> httpx.Client:
        import httpx

        return httpx.Client(
            base_url=self.address,
            headers={"Authorization": f"Bearer {self._secret}"},
            timeout=httpx.Timeout(_ANSWER, connect=5.0),
            trust_env=False,  # a proxy for the web must not be asked for a server inside this process
            verify=False,  # nothing is encrypted; to read the certificates of the web takes 20 ms each time
        )

    @contextlib.contextmanager
    def stream(self, path: str, body: dict[str, Any], connection: Connection) -> Iterator[httpx.Response]:
        """A response that streams over `connection`."""
        self._open.add(connection)
        try:
            with (
                self.client() as client,
                client.stream("POST", path, json=body, extensions={"trace": connection.trace}) as response,
            ):
                yield response
        finally:
            self._open.discard(connection)

    def wait_until_it_answers(self) -> None:
        """Ask the engine something that its loop itself has to answer: one that is stopped before that begins never ends."""
        with self.client() as client:
            client.get("/slots").raise_for_status()

    def stop(self) -> None:
        """Give the memory back. Answers that are being written break off."""
        for connection in tuple(self._open):  # the engine would wait until somebody reads what it has to say
            connection.cut()
        self._engine = None


def load(gguf: Path, context: int, threads: int, slots: int = 1, lora: Path | None = None) -> LlamaServer:
    """Raises RuntimeUnavailable when a file is gone, or is none that llama.cpp can load into the memory there is."""
    import xllamacpp

    for file in (gguf, lora):
        if file is not None and not file.is_file():
            raise RuntimeUnavailable(f"the model file {file} is gone", "make it again with: blogtwin deploy")
    secret = secrets.token_urlsafe(16)  # other users of this machine can reach the loopback device too
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.port = 0  # the system chooses a free one
    params.api_keys = [secret]
    params.verbosity = -1
    params.ui = params.endpoint_props = False
    params.n_ctx = context * slots  # all together
    params.n_parallel = slots
    params.kv_unified = False  # in one shared context what others say would change how an answer is rounded
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = 0
    params.fit_params = params.warmup = False
    params.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE  # the text as it is
    if lora is not None:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path, adapter.scale = str(lora), 1.0
        params.lora_adapters = [adapter]
    try:
        server = LlamaServer(xllamacpp.Server(params), secret, context, slots)
    except RuntimeError as fault:
        raise RuntimeUnavailable(
            f"llama.cpp cannot load {gguf}{f' with {lora}' if lora else ''}: {fault}",
            "free some memory if there is little, or make the file again with: blogtwin deploy",
        ) from fault
    server.wait_until_it_answers()
    return server
