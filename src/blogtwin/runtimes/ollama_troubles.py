"""Every way in which an Ollama server can fail, said in one way: where it was asked, for what, what it said, what to do.

In: an exception of the HTTP client, of Ollama's own client or of our reading of the answer. Out: a RuntimeUnavailable.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from blogtwin.errors import RuntimeUnavailable

if TYPE_CHECKING:
    import httpx

SEE_LOG = (
    "see what Ollama itself reports (the terminal of `ollama serve`, or its server.log), then run the command again"
)
_NOT_OLLAMA = "set deployment.ollama_base_url to where Ollama is, or use --runtime llama-cpp"
_WHO = (
    "give a name and password in the address (https://NAME:PASSWORD@HOST/PATH), or a key in OLLAMA_API_KEY; "
    "whoever keeps that server knows them"
)
_REMEDIES = {
    **dict.fromkeys(
        (301, 302, 307, 308), "give the address it has moved to as deployment.ollama_base_url (often: https)"
    ),
    401: _WHO,
    403: _WHO,
    413: "the proxy before Ollama refuses large files: let it pass them (nginx: client_max_body_size 0), then try again",
}
_FULL = "free some space on the disk where that Ollama keeps its models, then run the same command again"


# Until the summer of 2026 Ollama ran some families (Qwen 3, Gemma 3) by an engine of its own, which takes no adapters.
_MERGE = "deploy with --mode merged, or update Ollama: this one adds no adapter to a model of this family"


@contextmanager
def asking(what: str, address: str, local: bool, patience: float) -> Iterator[None]:
    """Whatever goes wrong while Ollama at `address` is asked to do `what` becomes a RuntimeUnavailable.

    local: whether it should run on this machine. patience: seconds without a byte after which the client gave up.
    """
    import httpx
    import ollama

    try:
        yield
    except (ConnectionError, httpx.ConnectError, httpx.ConnectTimeout) as fault:
        raise RuntimeUnavailable(
            f"Ollama does not answer at {address}, so it cannot {what}{_why(fault)}", _start(local)
        ) from fault
    except ollama.ResponseError as refusal:
        raise _refused(refusal.status_code, refusal.error, what, address) from refusal
    except httpx.TimeoutException as fault:
        raise RuntimeUnavailable(
            f"Ollama at {address} was asked to {what} and said nothing for {patience:.0f} seconds", SEE_LOG
        ) from fault
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as fault:
        raise RuntimeUnavailable(f"{address} is no address of an Ollama: {fault}", _NOT_OLLAMA) from fault
    except httpx.HTTPError as fault:
        raise RuntimeUnavailable(
            f"Ollama at {address} stopped half-way when asked to {what}: {fault or type(fault).__name__}", SEE_LOG
        ) from fault
    except (ValueError, TypeError, KeyError, AttributeError) as fault:  # JSON that is none, or not what Ollama sends
        raise RuntimeUnavailable(
            f"what answers at {address} is not Ollama: it was asked to {what} and sent something else", _NOT_OLLAMA
        ) from fault


def check(answer: httpx.Response) -> None:
    """Raises ollama.ResponseError, which `asking` puts into words, for an answer that is a refusal."""
    import ollama

    if not answer.is_success:
        raise ollama.ResponseError(answer.text, answer.status_code)


def _refused(code: int, said: str, what: str, address: str) -> RuntimeUnavailable:
    said = said.strip().partition("\n")[0][:300]
    status = f"HTTP {code}" if code > 0 else ""
    if code == 404 and "not found" not in said:  # Ollama itself says which model it did not find
        return RuntimeUnavailable(
            f"what answers at {address} is not Ollama: it does not know how to {what} (HTTP 404)", _NOT_OLLAMA
        )
    if "<html" in said.lower() or not said:
        said = "it does not say why"
    remedy = _FULL if "no space left" in said else _MERGE if "loras are not" in said else _REMEDIES.get(code, SEE_LOG)
    return RuntimeUnavailable(
        f"Ollama at {address} refused to {what}: {said}" + (f" ({status})" if status else ""), remedy
    )


def _start(local: bool) -> str:
    start = (
        "start it with: ollama serve" if local else "see that it runs there and can be reached (OLLAMA_HOST=0.0.0.0)"
    )
    return f"{start}; or use the embedded llama.cpp: --runtime llama-cpp"


def _why(fault: Exception) -> str:
    """What a certificate or a wrong scheme says; that nobody listens needs no more words."""
    text = str(fault.__context__ or fault)  # Ollama's own client says the same of every connection that fails
    return f" ({text})" if "SSL" in text or "certificate" in text.lower() else ""
