"""Six faults that make tuned models talk nonsense: each is found before the name moves, and the earlier version answers on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import reciting_twins
import tiny_models
from blogtwin import adapter_folder
from blogtwin.chat_template import LLAMA3, TEMPLATES
from blogtwin.config import Settings
from blogtwin.errors import ProofFailed
from blogtwin.export import gguf as export_gguf
from blogtwin.progress import Silent
from blogtwin.records import Message, Sampling
from blogtwin.runtimes.choose import choose
from blogtwin.stages import deploy
from blogtwin.workspace import Workspace, find_deployment

# As in Llama 3.2, with the length that decides what is scaled brought down to the few hundred tokens of a tiny model.
SCALED = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}
KNOWN = [" ".join(answer.split()[:9]) for answer in reciting_twins.short_answers()]


@pytest.fixture(scope="module")
def twin(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter whose base scales its positions as Llama 3.2 does, and knows its answers with their ends."""
    folder = tmp_path_factory.mktemp("twin")
    base = reciting_twins.base(folder / "base", tiny_base, KNOWN, rope_parameters=SCALED)
    return tiny_models.save_adapter(base, folder / "adapter", std=0.02)


@pytest.fixture(scope="module")
def other_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same shape and tokenizer, and other answers."""
    folder = tmp_path_factory.mktemp("other") / "base"
    return reciting_twins.base(folder, tiny_base, KNOWN[::-1], rope_parameters=SCALED)


@pytest.fixture
def project(twin: Path, tmp_path: Path) -> Workspace:
    return reciting_twins.project(twin, tmp_path, KNOWN)


@pytest.fixture(params=["ollama", "llama-cpp"])
def settings(request: pytest.FixtureRequest) -> Settings:
    """A deploy to each runtime."""
    url = request.getfixturevalue("ollama") if request.param == "ollama" else reciting_twins.NOBODY
    return reciting_twins.settings(runtime=request.param, ollama_base_url=url)


Plant = Callable[[pytest.MonkeyPatch, Settings, Path], None]


def wrong_template(monkeypatch: pytest.MonkeyPatch, settings: Settings, other_base: Path) -> None:
    """Ollama is sent a Go template, the embedded runtime finds a Jinja one in the file; either has lost a newline."""
    import gguf

    if settings.deployment.runtime == "ollama":
        go = LLAMA3.go.replace("<|end_header_id|>\n\n", "<|end_header_id|>\n")
        monkeypatch.setitem(TEMPLATES, "llama3", replace(LLAMA3, go=go))
    else:
        honest = gguf.GGUFWriter.add_chat_template
        monkeypatch.setattr(
            gguf.GGUFWriter,
            "add_chat_template",
            lambda self, jinja: honest(self, jinja.replace("<|end_header_id|>\\n\\n", "<|end_header_id|>\\n")),
        )


def missing_stop(monkeypatch: pytest.MonkeyPatch, settings: Settings, other_base: Path) -> None:
    """The file names another token as the one that ends an answer, and nobody tells the runtime otherwise.

    llama.cpp knows Llama's end marker by its name, whatever the file says, so the embedded one is told to pass it over.
    """
    import gguf
    import xllamacpp

    if settings.deployment.runtime == "ollama":
        honest = gguf.GGUFWriter.add_eos_token_id
        monkeypatch.setattr(gguf.GGUFWriter, "add_eos_token_id", lambda self, number: honest(self, 1))
        monkeypatch.setattr(gguf.GGUFWriter, "add_eot_token_id", lambda self, number: None)
        monkeypatch.setitem(TEMPLATES, "llama3", replace(LLAMA3, stop=("<|start_header_id|>",)))
        return
    server = xllamacpp.Server

    def going_on(params: Any) -> Any:
        params.sampling.ignore_eos = True
        return server(params)

    monkeypatch.setattr(xllamacpp, "Server", going_on)


def doubled_bos(monkeypatch: pytest.MonkeyPatch, settings: Settings, other_base: Path) -> None:
    """The engine is told to put a BOS of its own before the one that the template writes out."""
    import gguf

    honest = gguf.GGUFWriter.add_add_bos_token
    monkeypatch.setattr(gguf.GGUFWriter, "add_add_bos_token", lambda self, value: honest(self, True))


def unturned_heads(monkeypatch: pytest.MonkeyPatch, settings: Settings, other_base: Path) -> None:
    """The rows of q and k are written as Hugging Face orders them."""
    monkeypatch.setattr(export_gguf, "interleaved", lambda rows, head: rows)


def unscaled_positions(monkeypatch: pytest.MonkeyPatch, settings: Settings, other_base: Path) -> None:
    """The rotary scaling of the configuration is left out of the file."""
    monkeypatch.setattr(export_gguf, "rope_factors", lambda config: None)


def another_base(monkeypatch: pytest.MonkeyPatch, settings: Settings, other_base: Path) -> None:
    """The adapter is merged into a base of the same shape with other weights."""
    monkeypatch.setattr(adapter_folder, "find_base", lambda *_: other_base)
    monkeypatch.setattr(adapter_folder, "check_base", lambda *_: None)


FAULTS: dict[str, tuple[Plant, str]] = {
    "wrong template": (wrong_template, r"another prompt .* at token \d+: trained on .*▸"),
    "missing stop token": (
        missing_stop,
        r"does not end an answer at <\|eot_id\|>|does not stop where the twin ends its answers",
    ),
    "doubled BOS": (doubled_bos, r"a second ▸<\|begin_of_text\|>◂|at token 0"),
    "swapped q and k": (unturned_heads, r"does not answer as the adapter does"),
    "wrong rope scaling": (unscaled_positions, r"does not answer as the adapter does"),
    "another base": (another_base, r"does not answer as the adapter does"),
}

NOT_IN_THE_FILE = (("ollama", "wrong template"), ("llama-cpp", "missing stop token"))  # Ollama's own, the server's own


def answers(settings: Settings) -> list[str]:
    """What the name answers to the questions that it knows."""
    runtime = choose(settings.deployment.runtime, settings.deployment.ollama_base_url, threads=1)
    asked = ([Message(role="user", content=question)] for question in tiny_models.QUESTIONS)
    return ["".join(runtime.chat("my-twin:latest", one, Sampling.greedy(40))) for one in asked]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_before_the_name_moves(
    settings: Settings, project: Workspace, other_base: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """By what the runtime does, and, where the fault is in the file, before that by a look at the file."""
    deploy.run(settings, project, Silent())
    assert answers(settings) == KNOWN
    before = find_deployment("my-twin")
    plant, said = FAULTS[fault]
    finer = replace(settings, deployment=replace(settings.deployment, quantize="f16"))
    with monkeypatch.context() as patched:
        plant(patched, settings, other_base)
        with patched.context() as unseen:
            unseen.setattr(deploy, "check", lambda *_: None)
            with pytest.raises(ProofFailed, match=said) as failure:
                deploy.run(finer, project, Silent())
        assert failure.value.hint
        if (settings.deployment.runtime, fault) not in NOT_IN_THE_FILE:
            with pytest.raises(ProofFailed, match=r"model\.gguf is not what was trained"):
                deploy.run(finer, project, Silent())
    assert find_deployment("my-twin") == before
    assert answers(settings) == KNOWN
