"""Which runtime serves: Ollama where it answers, else the llama.cpp inside this process."""

from __future__ import annotations

from blogtwin.errors import RuntimeUnavailable
from blogtwin.runtimes.base import Runtime
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.runtimes.ollama import Ollama


def all_runtimes(ollama_base_url: str, threads: int | None = None) -> list[Runtime]:
    """Every runtime, in the order in which `auto` tries them."""
    return [Ollama(ollama_base_url, threads), LlamaCpp(threads)]


def choose(wanted: str, ollama_base_url: str, threads: int | None = None) -> Runtime:
    """The runtime called `wanted`, or for `auto` the first that can serve. Raises RuntimeUnavailable with the reasons."""
    reasons = []
    for runtime in all_runtimes(ollama_base_url, threads):
        if wanted in ("auto", runtime.name):
            reason = runtime.unavailable()
            if reason is None:
                return runtime
            reasons.append(reason)
    other = "" if wanted == "auto" else "mend that, or let blogtwin choose: --runtime auto"
    raise RuntimeUnavailable("; ".join(reasons), other)
