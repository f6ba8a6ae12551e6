"""Which runtime serves: Ollama where it answers, else the llama.cpp inside this process; an endpoint only where it is named."""

from __future__ import annotations

from collections.abc import Sequence

from blogtwin.errors import RuntimeUnavailable
from blogtwin.runtimes.base import Runtime
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.runtimes.ollama import Ollama
from blogtwin.runtimes.openai import OpenAI


def all_runtimes(ollama_base_url: str, threads: int | None = None) -> list[Runtime]:
    """Every runtime, in the order in which `auto` tries them."""
    return [Ollama(ollama_base_url, threads), LlamaCpp(threads)]


def choose(wanted: str, ollama_base_url: str, threads: int | None = None) -> Runtime:
    """The runtime called `wanted`, or for `auto` the first that can serve. Raises RuntimeUnavailable with the reasons."""
    if wanted == "openai":
        raise RuntimeUnavailable(
            "no model can be put onto an OpenAI-compatible endpoint from here; it can only be written with",
            "blogtwin write --runtime openai; deploy with --runtime ollama or llama-cpp",
        )
    reasons = []
    for runtime in all_runtimes(ollama_base_url, threads):
        if wanted in ("auto", runtime.name):
            reason = runtime.unavailable()
            if reason is None:
                return runtime
            reasons.append(reason)
    other = "" if wanted == "auto" else "mend that, or let blogtwin choose: --runtime auto"
    raise RuntimeUnavailable("; ".join(reasons), other)


def endpoint(base_url: str | None, system: str, stop: Sequence[str] = ()) -> OpenAI:
    """The OpenAI-compatible endpoint at an address that the user gave. Raises RuntimeUnavailable with the reason.

    system, stop: what goes before every conversation, and what ends an answer.
    """
    chosen = OpenAI(base_url, system, stop)
    if reason := chosen.unavailable():
        raise RuntimeUnavailable(reason, "see its address: --url, deployment.openai_base_url")
    return chosen
