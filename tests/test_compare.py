"""Versions beside each other, base and twin at the keyboard, and a twin at an endpoint; through the real llama.cpp."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from blogtwin import jsonl
from blogtwin.adapter_folder import WEIGHTS
from blogtwin.cli.app import main
from blogtwin.config import load_settings
from blogtwin.evaluation.comparison import Comparison
from blogtwin.progress import Silent
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.runtimes.llama_server import load
from blogtwin.runtimes.openai import KEY
from blogtwin.stages import compare, deploy
from blogtwin.workspace import Workspace, deployment
from conftest import EXAMPLES
from test_evaluate import SETTINGS, examples


@pytest.fixture(scope="module")
def workshop(tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of work with two twins in service, `one` and `two`, whose adapters differ."""
    folder = tmp_path_factory.mktemp("workshop")
    posts = sorted(EXAMPLES.glob("*.md"))
    jsonl.write(folder / "data" / "validation.jsonl", examples(posts[:4]))
    jsonl.write(folder / "data" / "training_data.jsonl", examples(posts[4:]))
    (folder / "pipeline_config.yaml").write_text(
        "evaluation: {samples: 8, max_tokens: 32, perplexity_examples: 6, concurrency: 1, test_prompts_file: p.txt}\n"
        "machine: {threads: 1}\n"
        "deployment: {runtime: llama-cpp, quantize: f16}\n",
        encoding="utf-8",
    )
    (folder / "p.txt").write_text("Write about fog.\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOGTWIN_HOME", str(folder / "home"))
        patch.chdir(folder)
        for name, factor in (("one", 1.0), ("two", 0.2)):
            adapter = folder / "models" / name
            shutil.copytree(tiny_adapter, adapter)
            weights = {key: value * factor for key, value in load_file(adapter / WEIGHTS).items()}
            save_file(weights, adapter / WEIGHTS, metadata={"format": "pt"})
            settings = replace(SETTINGS, deployment=replace(SETTINGS.deployment, model_name=f"{name}:latest"))
            deploy.run(settings, Workspace.here(settings), Silent())
        yield folder


@pytest.fixture(autouse=True)
def there(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BLOGTWIN_HOME", str(workshop / "home"))
    monkeypatch.chdir(workshop)
    return workshop


def test_two_versions_are_asked_the_same_and_compared_in_pairs(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dated = deployment("two").version
    assert dated is not None
    assert main(["evaluate", "--compare", "one", dated, "--json"]) == 0
    told = Comparison.model_validate_json(capsys.readouterr().out)
    assert told == Comparison.model_validate_json(Path("results/compare.json").read_text("utf-8"))
    assert [one.name for one in told.versions] == ["one:latest", dated]
    assert {pair.measure for pair in told.pairs} >= {"perplexity per word"}
    (perplexity,) = [pair for pair in told.pairs if pair.measure == "perplexity per word"]
    one, two = (version.perplexity_per_word for version in told.versions)
    assert one is not None
    assert two is not None
    assert perplexity.prompts == 4
    assert (perplexity.difference > 1) == (one > two)
    assert all(set(sample.answers) == {"one:latest", dated} for sample in told.samples)
    assert told.samples[0].answers["one:latest"] != told.samples[0].answers[dated]
    assert told.best in (None, "one:latest", dated)
    assert main(["evaluate", "--compare", "one", dated]) == 0
    table = capsys.readouterr().out
    assert table.startswith(told.sentence)
    assert "perplexity per word: one:latest over" in table


def test_a_version_whose_adapter_was_trained_again_has_no_perplexity_and_everything_else(there: Path) -> None:
    weights = there / "models" / "two" / WEIGHTS
    before = weights.read_bytes()
    settings = load_settings()
    try:
        save_file({key: value * 2 for key, value in load_file(weights).items()}, weights, metadata={"format": "pt"})
        told = compare.run(["one", "two"], settings, Workspace.here(settings), Silent())
    finally:
        weights.write_bytes(before)
    assert [one.perplexity is None for one in told.versions] == [False, True]
    assert any("no perplexity of two:latest" in remark for remark in told.remarks)
    assert told.versions[1].voice.prompts == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--compare", "one"], "needs two names"),
        (["--compare", "one", "one:latest"], "one and the same version"),
        (["one", "two"], "what is to be done with one two"),
        (["--compare", "one", "nobody"], "no twin named nobody"),
        (["--compare", "--interactive", "one", "two"], "two things"),
    ],
)
def test_what_cannot_be_compared_is_said(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *arguments]) in (1, 2)
    assert said in capsys.readouterr().err


def test_base_and_twin_answer_what_is_typed_and_nothing_is_kept(
    there: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path for path in there.rglob("*") if path.is_file())
    monkeypatch.setattr("sys.stdin", io.StringIO("Write about bees.\n\nAnd about rain.\n"))
    assert main(["evaluate", "--interactive", "--model", "one"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("── base ──") == shown.count("── twin ──") == 2
    base, twin = shown.split("── base ──")[1].split("── twin ──")
    assert base.strip()
    assert base.strip() != twin.strip()
    assert sorted(path for path in there.rglob("*") if path.is_file()) == before
    assert not [name for name in LlamaCpp().names() if ":base-" in name]


def test_a_twin_at_an_endpoint_is_measured_there_and_its_base_here(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = deployment("one").artifact
    running = load(Path(artifact.gguf), artifact.context_length, 1, slots=1)
    monkeypatch.setenv(KEY, running._secret)
    report = tmp_path / "report.json"
    try:
        command = ["evaluate", "--model", "one", "--url", running.address, "--output", str(report)]
        assert main(command) == 0, capsys.readouterr().err
    finally:
        running.stop()
    raw = json.loads(report.read_text("utf-8"))
    assert raw["runtime"] == "openai"
    assert raw["perplexity"] != raw["perplexity_base"]
    assert all(sample["base"] and sample["base"] != sample["twin"] for sample in raw["sample_comparisons"])
    shown = capsys.readouterr().out
    assert shown.startswith(raw["verdict"]["sentence"])
    assert str(report.with_suffix(".html")) in shown
