"""An answer as it streams in, in the form that llama.cpp's server, vLLM, LM Studio and others share; it can be stopped.

In: a request that streams. Out: pieces of text. `close` frees the model at once, from any thread and at any moment: a person
presses stop while the server still reads the prompt, and nothing has come back that could be closed.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


class Connection:
    """The way to the server that one answer takes. `trace` is for httpx's extension of that name, which shows the socket."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.is_cut = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                if self.is_cut:
                    self._shut()

    def cut(self) -> None:
        """Whoever reads from it finds its end; the server sees that nobody listens any more."""
        with self._lock:
            self.is_cut = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # closed already
                self._socket.shutdown(socket.SHUT_RDWR)


class Answer(Iterator[str]):
    """The pieces of an answer. whole: the model has ended it; False while it goes on, and when it was stopped or ran out.

    ask: begins the request when the first piece is wanted, over the connection it is given; gives back what `whole` becomes.
    """

    def __init__(self, ask: Callable[[Connection], Generator[str, None, bool]]) -> None:
        self._connection = Connection()
        self._pieces = ask(self._connection)
        self.whole = False

    def __next__(self) -> str:
        if self._connection.is_cut:
            raise StopIteration
        try:
            return next(self._pieces)
        except StopIteration as end:
            self.whole = self.whole or bool(end.value)
            raise
        except Exception:
            if self._connection.is_cut:  # it was to end, and how it did is nobody's trouble
                raise StopIteration from None
            raise

    def close(self) -> None:
        """Stop; nothing more comes. Returns at once, also while another thread waits for the next piece."""
        self._connection.cut()
        with contextlib.suppress(ValueError):  # that thread is in the generator, and ends it itself
            self._pieces.close()


class Refused(Exception):
    """A server's own words for why there is no answer, or no more of it."""


def pieces(response: httpx.Response) -> Generator[str, None, bool]:
    """The text of a streamed chat completion; gives back whether the model ended it, rather than its length.

    Raises Refused with the server's reason, or when it breaks off.
    """
    if not response.is_success:
        response.read()
        raise Refused(reason(response))
    ended = ""
    for event in _events(response):
        if "error" in event:
            raise Refused(_message(event["error"]))
        for choice in event.get("choices") or ():
            ended = ended or str(choice.get("finish_reason") or "")
            if piece := (choice.get("delta") or {}).get("content"):
                yield piece
    if not ended:
        raise Refused("it stopped in the middle of the answer")
    return ended != "length"


def reason(response: httpx.Response) -> str:
    """The reason in a refusal's body."""
    try:
        return _message(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"{response.text.strip()[:300] or response.reason_phrase} (HTTP {response.status_code})"


def _message(error: Any) -> str:
    return str(error["message"] if isinstance(error, dict) and "message" in error else error)[:300]


def _events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream of server-sent events, up to its end mark."""
    for line in response.iter_lines():
        kind, _, value = line.partition(":")
        if kind == "data" and value.strip() != "[DONE]":
            event = json.loads(value)
            if isinstance(event, dict):
                yield event
        elif kind == "error":
            yield {"error": value.strip()}
