"""Deploy: a proved twin takes the name, and whatever goes wrong, the earlier version answers as before."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from blogtwin import workspace as places
from blogtwin.chat_template import LLAMA3, TEMPLATES
from blogtwin.cli.app import main
from blogtwin.config import Settings, load_settings
from blogtwin.errors import InputError, ModelError, OutputError, ProofFailed, RuntimeUnavailable
from blogtwin.evaluation.parity import first_difference
from blogtwin.progress import Silent
from blogtwin.records import Message, Sampling
from blogtwin.runtimes.base import Runtime
from blogtwin.runtimes.choose import choose
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.stages import deploy, verify
from blogtwin.workspace import Workspace, find_deployment
from test_ollama import Refusing, serving

DATED = re.compile(r"my-twin:\d{4}-\d\d-\d\d-[0-9a-f]{6}")
NOBODY = "http://127.0.0.1:1"  # no Ollama there
HELLO = [Message(role="user", content="Hello")]


@pytest.fixture
def project(tiny_adapter: Path, tmp_path: Path) -> Workspace:
    model = tmp_path / "models" / "my-twin"
    shutil.copytree(tiny_adapter, model)
    return replace(Workspace.here(Settings()), model=model)


@pytest.fixture(params=["ollama", "llama-cpp"])
def settings(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """A deploy to each runtime."""
    url = request.getfixturevalue("ollama") if request.param == "ollama" else NOBODY
    made = _settings(runtime=request.param, ollama_base_url=url)
    yield made
    if request.param == "ollama":
        for name in _runtime(made).names():
            _runtime(made).remove(name)


def _settings(**deployment: object) -> Settings:
    return load_settings(
        None,
        {
            "deployment": {"model_name": "my-twin:latest", "ollama_base_url": NOBODY} | deployment,
            "machine": {"threads": 1},
        },
    )


def _finer(settings: Settings) -> Settings:
    """The same deploy with other weights."""
    return replace(settings, deployment=replace(settings.deployment, quantize="f16"))


def _runtime(settings: Settings) -> Runtime:
    return choose(settings.deployment.runtime, settings.deployment.ollama_base_url, threads=1)


def _greedy(settings: Settings) -> str:
    options = Sampling(temperature=0, top_p=1, top_k=1, min_p=0, repeat_penalty=1, seed=0, max_tokens=16)
    return "".join(_runtime(settings).chat("my-twin:latest", HELLO, options))


def _names(settings: Settings) -> list[str]:
    """What the runtime serves, without dated versions."""
    return sorted(name for name in _runtime(settings).names() if not DATED.fullmatch(name))


def _versions(settings: Settings) -> list[str]:
    return sorted(name for name in _runtime(settings).names() if DATED.fullmatch(name))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("quantization", ["q8_0", "f16"])
def test_an_adapter_becomes_a_twin_that_answers(settings: Settings, project: Workspace, quantization: str) -> None:
    settings = replace(settings, deployment=replace(settings.deployment, quantize=quantization))
    assert deploy.plan(settings, project).stale() == "it has not run yet"
    result = deploy.run(settings, project, Silent())
    assert result.counts["prompts_proved"] >= 6
    assert result.counts["parity_tokens"] > 0
    assert _names(settings) == ["my-twin:latest"]
    assert _greedy(settings)
    made = find_deployment("my-twin")
    assert made is not None
    assert made.artifact.quantization == quantization
    assert Path(made.artifact.gguf) == (project.model / "deploy" / "model.gguf").absolute()
    assert _versions(settings) == [made.version]
    assert made.parity is not None
    assert made.parity.figures().items() <= result.counts.items()
    version = find_deployment(str(made.version))
    assert version is not None
    assert version.parity == made.parity
    assert sorted(_files(project.model / "deploy")) == ["Modelfile", "artifact.json", "manifest.json", "model.gguf"]
    assert deploy.plan(settings, project).stale() is None


def test_a_second_run_makes_the_same_bytes_and_no_second_version(settings: Settings, project: Workspace) -> None:
    deploy.run(settings, project, Silent())
    first = (project.model / "deploy" / "model.gguf").read_bytes()
    (version,) = _versions(settings)
    shutil.rmtree(project.model / "deploy")
    deploy.run(settings, project, Silent())
    assert (project.model / "deploy" / "model.gguf").read_bytes() == first
    assert _versions(settings) == [version]


def test_a_second_run_takes_the_exported_files_again(
    settings: Settings, project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy.run(settings, project, Silent())
    monkeypatch.setattr(deploy, "export", lambda *_: pytest.fail("exported twice"))
    deploy.run(settings, project, Silent())
    named = replace(settings, deployment=replace(settings.deployment, model_name="my-twin:draft"))
    deploy.run(named, project, Silent())
    assert _names(settings) == ["my-twin:draft", "my-twin:latest"]
    assert deploy.plan(settings, project).stale() is None
    assert deploy.plan(named, project).stale() is None


def test_only_what_changes_the_twin_makes_a_deploy_stale(project: Workspace) -> None:
    settings = _settings(runtime="llama-cpp")
    deploy.run(settings, project, Silent())

    def stale(**changes: object) -> str | None:
        return deploy.plan(replace(settings, deployment=replace(settings.deployment, **changes)), project).stale()

    assert stale(keep=9) is None
    assert stale(openai_base_url="http://127.0.0.1:8080/v1") is None
    assert stale(ollama_base_url="http://127.0.0.1:2") is None
    assert stale(runtime="auto") is None  # no Ollama answers, so that means the same
    for change in ({"quantize": "f16"}, {"temperature": 0.5}, {"mode": "adapter"}):
        assert stale(**change) == "its settings have changed"


def test_two_names_made_in_two_ways_from_one_adapter_do_not_undo_each_other(project: Workspace) -> None:
    fine = _settings(runtime="llama-cpp", quantize="f16", model_name="my-twin:fine")
    small = _settings(runtime="llama-cpp", quantize="q8_0", model_name="my-twin:small")
    deploy.run(fine, project, Silent())
    deploy.run(small, project, Silent())
    assert deploy.plan(fine, project).stale() is None
    assert deploy.plan(small, project).stale() is None
    assert len(_versions(fine)) == 2


def test_a_twin_that_was_removed_or_taken_over_is_deployed_again(
    settings: Settings, project: Workspace, tmp_path: Path
) -> None:
    deploy.run(settings, project, Silent())
    _runtime(settings).remove("my-twin:latest")  # as `ollama rm` does
    assert deploy.plan(settings, project).stale()
    deploy.run(settings, project, Silent())
    assert deploy.plan(settings, project).stale() is None
    other = replace(project, model=tmp_path / "elsewhere" / "my-twin")
    shutil.copytree(project.model, other.model)
    shutil.rmtree(other.model / "deploy")
    deploy.run(settings, other, Silent())
    assert deploy.plan(settings, other).stale() is None
    assert deploy.plan(settings, project).stale()


def test_ollama_started_later_gets_the_twin_with_the_same_command(ollama: str, project: Workspace) -> None:
    deploy.run(_settings(runtime="auto"), project, Silent())
    assert "my-twin:latest" in LlamaCpp().names()
    now = _settings(runtime="auto", ollama_base_url=ollama)
    assert deploy.plan(now, project).stale() == "its settings have changed"
    result = deploy.run(now, project, Silent())
    assert _names(now) == ["my-twin:latest"]
    assert deploy.plan(now, project).stale() is None
    assert LlamaCpp().names() == []  # the copy that served before would answer for ever with what it was
    assert any("my-twin:latest was served by llama-cpp before" in note for note in result.notes)


Spoil = Callable[[pytest.MonkeyPatch, Settings], None]


def _another_prompt(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """The runtime renders a template that drops the newline after the header."""
    wrong = replace(LLAMA3, go=LLAMA3.go.replace("\n\n", "\n"))
    if settings.deployment.runtime == "ollama":
        monkeypatch.setitem(TEMPLATES, "llama3", wrong)
    else:
        honest = LlamaCpp.render

        def render(self: LlamaCpp, name: str, messages: Sequence[Message]) -> str:
            return honest(self, name, messages).replace("\n\n", "\n")

        monkeypatch.setattr(LlamaCpp, "render", render)


def _a_doubled_bos(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """The GGUF asks the engine for a BOS of its own, beside the one in the template."""
    import gguf

    honest = gguf.GGUFWriter.add_add_bos_token
    monkeypatch.setattr(gguf.GGUFWriter, "add_add_bos_token", lambda self, value: honest(self, True))


def _silence(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(type(_runtime(settings)), "chat", lambda self, name, messages, options: iter([" "]))


def _a_marker_in_the_answer(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(type(_runtime(settings)), "chat", lambda self, name, messages, options: iter(["<|eot_id|>"]))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_another_prompt, r"another prompt .* at token \d+: trained on .*▸"),
        (
            _a_doubled_bos,
            "add_bos_token is True, where False was trained",
        ),  # the runtime's proof: test_planted_faults.py
        (_silence, "nothing at all"),
        (_a_marker_in_the_answer, "marker"),
    ],
)
def test_a_deploy_that_fails_its_proof_leaves_the_earlier_version(
    settings: Settings, project: Workspace, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, said: str
) -> None:
    deploy.run(settings, project, Silent())
    before, answer, files = find_deployment("my-twin"), _greedy(settings), _files(project.model)
    names = sorted(_runtime(settings).names())
    with monkeypatch.context() as patched:
        spoil(patched, settings)
        with pytest.raises(ProofFailed, match=said) as failure:
            deploy.run(_finer(settings), project, Silent())
    assert failure.value.hint
    assert find_deployment("my-twin") == before
    assert sorted(_runtime(settings).names()) == names
    assert _greedy(settings) == answer
    assert _files(project.model) == files


def test_an_interrupted_deploy_leaves_the_earlier_version(
    settings: Settings, project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy.run(settings, project, Silent())
    files, names = _files(project.model), sorted(_runtime(settings).names())

    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(deploy, "examine", interrupt)
    with pytest.raises(KeyboardInterrupt):
        deploy.run(_finer(settings), project, Silent())
    assert _files(project.model) == files
    assert sorted(_runtime(settings).names()) == names


def test_a_killed_deploy_is_cleaned_up_by_the_next(settings: Settings, project: Workspace) -> None:
    deploy.run(settings, project, Silent())
    runtime, made = _runtime(settings), find_deployment("my-twin")
    assert made is not None
    runtime.install(made.artifact, "my-twin:candidate-0123abcd", Silent())
    runtime.install(made.artifact, "my-twin:candidate-mine", Silent())  # not one of ours
    half = project.model / ".deploy.partial"
    half.mkdir()
    (half / "model.gguf").write_bytes(b"GGUF")
    deploy.run(_finer(settings), project, Silent())
    assert _names(settings) == ["my-twin:candidate-mine", "my-twin:latest"]
    assert not half.exists()


def test_a_deploy_killed_anywhere_and_run_again_ends_with_the_same_bytes(project: Workspace) -> None:
    """SIGKILL while the GGUF is being written; then the same command again."""
    script = (
        "import os, signal, sys\n"
        "from dataclasses import replace\nfrom pathlib import Path\n"
        "from blogtwin.config import load_settings\nfrom blogtwin.progress import Silent\n"
        "from blogtwin.stages import deploy\nfrom blogtwin.workspace import Workspace\n"
        "import blogtwin.stages.deploy as stage\n"
        "settings = load_settings(None, {'deployment': {'model_name': 'my-twin', 'runtime': 'llama-cpp'}})\n"
        "stage.examine = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "deploy.run(settings, replace(Workspace.here(settings), model=Path(sys.argv[1])), Silent())\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(project.model)], env=dict(os.environ), check=False)
    assert ended.returncode == -signal.SIGKILL
    assert (project.model / ".deploy.partial" / "model.gguf").is_file()
    assert find_deployment("my-twin") is None
    settings = _settings(runtime="llama-cpp")
    deploy.run(settings, project, Silent())
    again = (project.model / "deploy" / "model.gguf").read_bytes()
    shutil.rmtree(project.model / "deploy")
    deploy.run(settings, project, Silent())
    assert (project.model / "deploy" / "model.gguf").read_bytes() == again
    assert _names(settings) == ["my-twin:latest"]
    assert not (project.model / ".deploy.partial").exists()


def test_a_disk_without_room_for_the_model_leaves_the_earlier_version(project: Workspace) -> None:
    settings = _settings(runtime="llama-cpp")
    deploy.run(settings, project, Silent())
    before, files = find_deployment("my-twin"), _files(project.model)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            deploy.run(_finer(settings), project, Silent())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert find_deployment("my-twin") == before
    assert _files(project.model) == files
    assert _greedy(settings)


def test_an_ollama_that_refuses_leaves_no_trace(project: Workspace) -> None:
    files = _files(project.model)
    with serving(Refusing) as url, pytest.raises(RuntimeUnavailable, match=r"no space left|is not Ollama"):
        deploy.run(_settings(runtime="ollama", ollama_base_url=url), project, Silent())
    assert _files(project.model) == files
    assert find_deployment("my-twin") is None


def test_a_folder_that_is_no_adapter_is_said_so(project: Workspace, tmp_path: Path) -> None:
    settings = _settings(runtime="llama-cpp")
    with pytest.raises(ModelError, match=r"twin\.json"):
        deploy.run(settings, replace(project, model=tmp_path / "nothing"), Silent())
    (project.model / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    with pytest.raises(ModelError, match=r"chat_template\.jinja"):
        deploy.run(settings, project, Silent())
    assert not (project.model / "deploy").exists()
    assert not (places.home() / "served").exists()


def test_a_twin_in_service_is_proved_again_and_nothing_changes(settings: Settings, project: Workspace) -> None:
    deploy.run(settings, project, Silent())
    runtime, names = _runtime(settings), sorted(_runtime(settings).names())
    record = find_deployment("my-twin")
    assert record is not None
    assert record.version is not None
    for name in ("my-twin", record.version):
        found = verify.run(name, settings, project, Silent())
        assert found.counts["prompts_proved"] >= 6
        assert found.counts["parity_tokens"] > 0
    assert sorted(runtime.names()) == names

    other = record.artifact.model_copy(update={"system": "Another system prompt."})
    runtime.install(other, "my-twin:latest", Silent())  # as somebody may with `ollama create`
    with pytest.raises(
        ProofFailed, match=r"in system: 'You write .* was sent, 'Another system prompt\.' is served"
    ) as no:
        verify.run("my-twin", settings, project, Silent())
    assert "blogtwin deploy --model-path" in no.value.hint
    assert sorted(runtime.names()) == names
    runtime.remove("my-twin:latest")
    with pytest.raises(InputError, match="does not have it any more"):
        verify.run("my-twin", settings, project, Silent())


def test_what_a_proof_needs_and_has_not_is_said(project: Workspace) -> None:
    settings = _settings(runtime="llama-cpp")
    with pytest.raises(InputError, match="no twin named nobody:latest"):
        verify.run("nobody", settings, project, Silent())
    deploy.run(settings, project, Silent())
    weights = project.model / "adapter_model.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    with pytest.raises(InputError, match="trained again since"):
        verify.run("my-twin", settings, project, Silent())
    shutil.rmtree(project.model)
    with pytest.raises(InputError, match="is gone"):
        verify.run("my-twin", settings, project, Silent())


def test_the_first_difference_is_shown_with_its_neighbours() -> None:
    letters = "abcdefghij".__getitem__
    assert first_difference([1, 2, 3], [1, 2, 3], letters) is None
    found = first_difference([0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 9, 5, 6], letters)
    assert found is not None
    assert (found.position, found.expected, found.found) == (4, "abcd▸e◂fg", "abcd▸j◂fg")
    longer = first_difference([0], [0, 1], letters)
    assert longer is not None
    assert (longer.position, longer.expected, longer.found) == (1, "a▸(end)◂", "a▸b◂")


def test_verify_only_tells_figures_or_the_difference(
    project: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.model.parent.parent)
    monkeypatch.setenv("BLOGTWIN_MACHINE_THREADS", "1")
    deploy.run(_settings(runtime="llama-cpp"), project, Silent())
    capsys.readouterr()
    assert main(["deploy", "--verify-only", "my-twin", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["stage"] == "verify"
    assert told["counts"]["prompts_proved"] >= 6
    assert main(["deploy", "--verify-only", "my-twin"]) == 0
    assert "nothing was changed" in capsys.readouterr().out
    honest = LlamaCpp.render
    monkeypatch.setattr(LlamaCpp, "render", lambda *asked: honest(*asked).replace("\n\n", "\n"))
    assert main(["deploy", "--verify-only", "my-twin"]) == 1
    assert "at token" in (said := capsys.readouterr().err)
    assert "hint:" in said
