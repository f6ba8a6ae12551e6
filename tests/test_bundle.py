"""Bundles: a folder that runs anywhere, says what it is, and tells nothing of the machine or the posts it came from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import tiny_models
from blogtwin import workspace as places
from blogtwin.adapter_folder import read_card
from blogtwin.cli.app import main
from blogtwin.config import Settings, load_settings
from blogtwin.errors import InputError, ModelError, OutputError
from blogtwin.export.model_card import Told, model_card
from blogtwin.modelfile import parse
from blogtwin.progress import Silent
from blogtwin.records import Message, Sampling
from blogtwin.runtimes.ollama import Ollama
from blogtwin.stages import bundle, deploy, evaluate
from blogtwin.workspace import Workspace, deployment
from conftest import EXAMPLES

GREEDY = Sampling(temperature=0, top_p=1, top_k=1, min_p=0, repeat_penalty=1, seed=0, max_tokens=24)
HELLO = [Message(role="user", content="Hello")]


def settings_for(**changes: object) -> Settings:
    chosen = {"model_name": "my-twin:latest", "runtime": "llama-cpp", "ollama_base_url": "http://127.0.0.1:1"} | changes
    return load_settings(None, {"deployment": chosen, "machine": {"threads": 1}})


@pytest.fixture
def project(tiny_adapter: Path, tmp_path: Path) -> Workspace:
    model = shutil.copytree(tiny_adapter, tmp_path / "models" / "my-twin")
    return replace(Workspace.here(Settings()), model=model, report=tmp_path / "results" / "eval_report.json")


@pytest.fixture
def deployed(project: Workspace) -> Workspace:
    deploy.run(settings_for(), project, Silent())
    return project


@pytest.mark.parametrize("mode", ["merged", "adapter"])
def test_a_bundle_taken_elsewhere_says_what_the_twin_in_service_says(
    ollama: str, project: Workspace, tmp_path: Path, mode: str
) -> None:
    settings = settings_for(runtime="ollama", ollama_base_url=ollama, mode=mode)
    deploy.run(settings, project, Silent())
    bundle.run(settings, project, tmp_path / "bundle", Silent())
    served = Ollama(ollama, 1)
    words = "".join(served.chat("my-twin:latest", HELLO, GREEDY))
    elsewhere = (tmp_path / "bundle").rename(tmp_path / "other machine")
    shutil.rmtree(project.model)  # nothing of it is needed there
    shutil.rmtree(places.home())
    subprocess.run(
        ["ollama", "create", "taken-over", "-f", "Modelfile"],
        cwd=elsewhere,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OLLAMA_HOST": ollama},
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert words
    assert "".join(served.chat("taken-over:latest", HELLO, GREEDY)) == words
    assert served.render("taken-over:latest", HELLO) == served.render("my-twin:latest", HELLO)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=elsewhere, check=True, capture_output=True)


@pytest.mark.parametrize("mode", ["merged", "adapter"])
def test_a_bundle_tells_nothing_of_the_machine_and_the_posts(project: Workspace, tmp_path: Path, mode: str) -> None:
    settings = settings_for(mode=mode)
    deploy.run(settings, project, Silent())
    bundle.run(settings, project, tmp_path / "bundle", Silent())
    files = {path.name: path.read_bytes() for path in (tmp_path / "bundle").iterdir()}
    weights = {"model.gguf", "adapter.gguf"} if mode == "adapter" else {"model.gguf"}
    assert set(files) == weights | {"Modelfile", "MODEL_CARD.md", "README.md", "SHA256SUMS"}
    recipe = parse(files["Modelfile"].decode())
    assert (recipe.base, recipe.adapter) == ("./model.gguf", "./adapter.gguf" if mode == "adapter" else None)
    words = [word for path in EXAMPLES.glob("*.md") for word in path.read_text("utf-8").split()]
    passages = {" ".join(words[at : at + 6]).encode() for at in range(len(words) - 5)}
    for name, content in files.items():
        assert str(tmp_path.parent).encode() not in content, name
        assert str(Path.home()).encode() + b"/" not in content, name
        flat = b" ".join(content.split())
        assert not [passage for passage in passages if passage in flat], name


def test_the_card_says_what_it_is_and_what_was_found(deployed: Workspace, tmp_path: Path) -> None:
    settings = settings_for()
    bundle.run(settings, deployed, tmp_path / "bundle", Silent())
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text("utf-8")
    digest = hashlib.sha256((tmp_path / "bundle" / "model.gguf").read_bytes()).hexdigest()
    assert f"| model.gguf | `{digest}` |" in card
    assert "7.0000 (nats a token)" in card
    assert "This very model has not been evaluated" in card
    assert "not known to blogtwin" in card
    deployed.report.parent.mkdir()
    deployed.report.write_text(json.dumps({"verdict": "It sounds like the author."}), encoding="utf-8")
    replace(evaluate.plan(settings, deployed), inputs=()).finish({"perplexity": 12.5, "voice": 0.8})
    bundle.run(settings, deployed, tmp_path / "bundle", Silent())
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text("utf-8")
    assert "It sounds like the author." in card
    assert "| perplexity | 12.5 |" in card
    deploy.run(settings_for(quantize="f16"), deployed, Silent())  # another twin: the figures are not its own
    bundle.run(settings, deployed, tmp_path / "bundle", Silent())
    assert "12.5" not in (tmp_path / "bundle" / "MODEL_CARD.md").read_text("utf-8")


def test_a_llama_is_given_away_with_what_its_licence_asks_for(deployed: Workspace) -> None:
    twin = deployment("my-twin")
    told = Told(
        name="my-twin",
        base="llama3.2:1b",
        repository="unsloth/Llama-3.2-1B-Instruct",
        licence="Llama 3.2 Community License",
        card=read_card(deployed.model),
        artifact=twin.artifact,
        evaluation=None,
        verdict=None,
        files={},
    )
    card = model_card(told)
    assert told.shown == "llama-my-twin"
    assert "**Built with Llama**" in card
    assert "license: llama3.2" in card
    assert "https://www.llama.com/llama3_2/license/" in card
    assert told.notice() == (
        "Llama 3.2 is licensed under the Llama 3.2 Community License, "
        "Copyright © Meta Platforms, Inc. All Rights Reserved.\n"
    )
    other = replace(told, licence="Apache-2.0", repository="HuggingFaceTB/SmolLM2-135M-Instruct")
    assert (other.shown, other.notice()) == ("my-twin", None)
    assert "Built with Llama" not in model_card(other)


def _a_file(place: Path) -> None:
    place.write_text("mine", encoding="utf-8")


def _a_full_folder(place: Path) -> None:
    place.mkdir()
    (place / "thesis.txt").write_text("mine", encoding="utf-8")


def _a_bundle_with_something_of_the_users(place: Path) -> None:
    place.mkdir()
    for name in ("Modelfile", "notes.txt"):
        (place / name).write_text("mine", encoding="utf-8")
    (place / "SHA256SUMS").write_text("00  Modelfile\n", encoding="utf-8")


@pytest.mark.parametrize("filled", [_a_file, _a_full_folder, _a_bundle_with_something_of_the_users])
def test_nothing_of_the_users_is_replaced(deployed: Workspace, tmp_path: Path, filled: Callable[[Path], None]) -> None:
    place = tmp_path / "place"
    filled(place)
    before = {path: path.read_bytes() for path in sorted(tmp_path.glob("place*/*"))}
    with pytest.raises(OutputError, match=r"not a folder|something else than a bundle"):
        bundle.run(settings_for(), deployed, place, Silent())
    assert {path: path.read_bytes() for path in sorted(tmp_path.glob("place*/*"))} == before
    assert place.exists()


def test_an_earlier_bundle_and_an_empty_folder_are_replaced(deployed: Workspace, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    for _ in range(2):
        bundle.run(settings_for(), deployed, tmp_path / "bundle", Silent())
    assert sorted(path.name for path in tmp_path.iterdir() if "bundle" in path.name) == ["bundle"]


def test_a_bundle_is_refused_when_its_parts_are_not_what_was_deployed(deployed: Workspace, tmp_path: Path) -> None:
    settings = settings_for()
    gguf = Path(deployment("my-twin").artifact.gguf)
    held = gguf.read_bytes()
    gguf.unlink()
    with pytest.raises(ModelError, match="is gone"):
        bundle.run(settings, deployed, tmp_path / "bundle", Silent())
    gguf.write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
    with pytest.raises(ModelError, match="is not what was deployed"):
        bundle.run(settings, deployed, tmp_path / "bundle", Silent())
    gguf.write_bytes(held)
    weights = deployed.model / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"\0")
    with pytest.raises(ModelError, match="not what my-twin:latest was made from any more"):
        bundle.run(settings, deployed, tmp_path / "bundle", Silent())
    assert not (tmp_path / "bundle").exists()
    with pytest.raises(InputError, match="no twin named"):
        bundle.run(settings_for(model_name="nobody"), deployed, tmp_path / "bundle", Silent())


def test_the_command_deploys_and_bundles(
    tiny_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = shutil.copytree(tiny_adapter, tmp_path / "twin")
    command = ["deploy", "--model-path", str(model), "--model-name", "my-twin", "--runtime", "llama-cpp"]
    assert main([*command, "--mode", "adapter", "--bundle", "bundle"]) == 0
    assert (tmp_path / "bundle" / "adapter.gguf").is_file()
    assert "bundle" in capsys.readouterr().out + capsys.readouterr().err
    (tmp_path / "bundle" / "mine.txt").write_text("mine", encoding="utf-8")
    assert main([*command, "--bundle", "bundle"]) == 1
    assert "something else than a bundle" in capsys.readouterr().err


def test_the_readme_names_the_engines_and_the_system_prompt(deployed: Workspace, tmp_path: Path) -> None:
    bundle.run(settings_for(), deployed, tmp_path / "bundle", Silent())
    text = (tmp_path / "bundle" / "README.md").read_text("utf-8")
    assert "ollama create my-twin -f Modelfile" in text
    assert "llama-server -m model.gguf --jinja -c 512 --temp 0.7" in text
    assert f"    {tiny_models.SYSTEM}" in text
