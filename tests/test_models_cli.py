"""`blogtwin models` over real versions in the embedded llama.cpp: who serves, one-command rollback, kills in between."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from blogtwin import jsonl
from blogtwin.cli.app import main
from blogtwin.config import Settings, load_settings
from blogtwin.errors import StoreError
from blogtwin.feedback import twins
from blogtwin.feedback.database import Database
from blogtwin.feedback.versions import Versions
from blogtwin.manifest import Plan
from blogtwin.progress import Silent
from blogtwin.records import Example, Post
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.stages import deploy, lineage, promotion
from blogtwin.workspace import Workspace, find_deployment, save_deployment

NOBODY = "http://127.0.0.1:1"  # no Ollama there


@dataclass(frozen=True)
class Deployed:
    """A folder of work whose twin has a champion, and beside it a candidate of the same adapter."""

    project: Workspace
    champion: str
    candidate: str


@pytest.fixture(scope="module")
def prepared(tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, Deployed]]:
    """The user's folder, the folder of work and what is in them: two posts, one of which the adapter was trained on."""
    home, folder = tmp_path_factory.mktemp("deployed"), tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOGTWIN_HOME", str(home))
        patch.chdir(folder)
        project = _project(tiny_adapter)
        first, second = _deploy(project, "q8_0"), _deploy(project, "f16", challenger=True)
        yield home, folder, Deployed(project, first, second)


@pytest.fixture
def deployed(prepared: tuple[Path, Path, Deployed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """The same, each time anew."""
    home, folder, found = prepared
    shutil.copytree(home, tmp_path / "home", copy_function=_linked)
    monkeypatch.setenv("BLOGTWIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(folder)
    return found


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOGTWIN_DEPLOYMENT_OLLAMA_BASE_URL", NOBODY)
    monkeypatch.setenv("BLOGTWIN_DEPLOYMENT_MODEL_NAME", "my-twin:latest")


def _linked(source: str, target: str) -> None:
    """Model files are never changed."""
    os.link(source, target) if "blobs" in source else shutil.copyfile(source, target)


def _project(adapter: Path) -> Workspace:
    workspace = replace(Workspace.here(Settings()), model=Path("models/my-twin"))
    posts = [
        Post(
            id=number * 16,
            path=f"2026/post-{number}.md",
            title=f"The post {number}",
            text="Text.",
            format="markdown",
            word_count=1,
            created_at=None,
            created_from=None,
        )
        for number in "12"
    ]
    seen = Example(id="e", post_id="1" * 16, kind="topic", instruction="Write.", input="", output="Text.")
    held = seen.model_copy(update={"post_id": "2" * 16})
    for path, rows in ((workspace.posts, posts), (workspace.training_data, [seen]), (workspace.validation, [held])):
        path.parent.mkdir(exist_ok=True)
        jsonl.write(path, rows)
    shutil.copytree(adapter, workspace.model)
    inputs = (workspace.training_data, workspace.validation)
    Plan("finetune", {}, inputs, (), workspace.model / "manifest.json").finish({"validation_loss": 7.0, "seconds": 3})
    return workspace


def _settings(quantize: str = "q8_0", keep: int = 3) -> Settings:
    told = {
        "quantize": quantize,
        "runtime": "llama-cpp",
        "keep": keep,
        "model_name": "my-twin",
        "ollama_base_url": NOBODY,
    }
    return load_settings(None, {"deployment": told, "machine": {"threads": 1}})


def _deploy(project: Workspace, quantize: str, challenger: bool = False, keep: int = 3) -> str:
    """The dated name of what was deployed."""
    deploy.run(_settings(quantize, keep), project, Silent(), challenger)
    made = lineage.deployed_from(project.model, "my-twin")
    assert made is not None
    return made.name


@pytest.fixture
def register(request: pytest.FixtureRequest) -> Iterator[Versions]:
    """The register, of what is deployed where that is wanted."""
    if "deployed" in request.fixturenames:
        request.getfixturevalue("deployed")
    with lineage.register(_settings()) as register:
        yield register


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def _stands_for(name: str = "my-twin") -> str | None:
    found = find_deployment(name)
    return found.version if found else None


def test_a_deploy_makes_a_champion_and_keeps_the_one_before(
    deployed: Deployed, register: Versions, capsys: pytest.CaptureFixture[str]
) -> None:
    champion = register.champion("my-twin")
    assert champion is not None
    assert (champion.name, champion.share, champion.method) == (deployed.champion, 100, "sft")
    assert champion.metrics["validation_loss"] == 7.0
    assert champion.sizes["megabytes"] > 0
    assert twins.folders(register.database) == {"my-twin": Path.cwd()}
    second = _deploy(deployed.project, "f32")
    told = {one["name"]: (one["state"], one["share"]) for one in _json(capsys, "models", "list")}
    assert told == {
        second: ("champion", 100),
        deployed.champion: ("retired", 0),
        deployed.candidate: ("candidate", 0),
    }
    again = _deploy(deployed.project, "q8_0")  # the same once more is the same version
    assert again == deployed.champion
    assert {one.name: one.state for one in register.list()}[again] == "champion"
    assert register.earlier("my-twin") == second


def test_a_challenger_is_proved_and_kept_and_takes_no_name(deployed: Deployed, register: Versions) -> None:
    assert sorted(LlamaCpp().names()) == sorted([deployed.champion, deployed.candidate, "my-twin:latest"])
    assert _stands_for() == deployed.champion
    found = register.known(deployed.candidate)
    assert (found.state, found.share) == ("candidate", 0)
    assert main(["models", "traffic", f"{deployed.candidate}=10"]) == 0
    shares = [(one.name, one.share) for one in register.list() if one.share]
    assert shares == [(deployed.candidate, 10), (deployed.champion, 90)]
    assert main(["models", "promote", deployed.candidate.partition(":")[2]]) == 0, "the tag is enough"
    assert _stands_for() == deployed.candidate
    assert register.earlier("my-twin") == deployed.champion


def test_one_command_rolls_back_in_the_register_and_in_the_runtime(
    deployed: Deployed, register: Versions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "promote", deployed.candidate]) == 0
    assert main(["models", "rollback", "my-twin", "--why", "it rambles"]) == 0
    champion = register.champion("my-twin")  # as a running server reads it at its next request
    assert champion is not None
    assert champion.name == _stands_for() == deployed.champion
    before = find_deployment(deployed.champion)
    assert before is not None
    assert LlamaCpp().difference("my-twin:latest", before.artifact) is None, "its own name answers as the champion"
    last = register.events("my-twin")[-1]
    assert (last.event, last.version, last.before) == ("rolled back", deployed.champion, deployed.candidate)
    assert last.why == "it rambles"
    capsys.readouterr()
    assert main(["models", "rollback"]) == 1
    told = capsys.readouterr().err
    assert "nothing to roll back to" in told
    assert "hint:" in told


def test_versions_that_are_needed_outlive_deployment_keep(deployed: Deployed, register: Versions) -> None:
    champion = _deploy(deployed.project, "f32", keep=1)
    assert {deployed.champion, deployed.candidate, champion} <= set(LlamaCpp().names())
    assert main(["models", "retire", deployed.candidate, "--why", "worse"]) == 0
    _deploy(deployed.project, "bf16", keep=1)
    left = set(LlamaCpp().names())
    assert champion in left, "a rollback would go back to it"
    assert not {deployed.champion, deployed.candidate} & left


def test_a_version_that_is_gone_cannot_be_promoted(
    deployed: Deployed, register: Versions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "promote", deployed.candidate]) == 0
    LlamaCpp().remove(deployed.champion)  # as `ollama rm` does
    capsys.readouterr()
    assert main(["models", "rollback"]) == 1
    told = capsys.readouterr().err
    assert f"{deployed.champion} is no longer in llama-cpp" in told
    assert "blogtwin deploy --model-path" in told
    champion = register.champion("my-twin")
    assert champion is not None
    assert champion.name == _stands_for() == deployed.candidate, "nothing has changed"


def test_a_version_that_is_gone_gets_no_requests(
    deployed: Deployed, register: Versions, capsys: pytest.CaptureFixture[str]
) -> None:
    LlamaCpp().remove(deployed.candidate)
    assert main(["models", "traffic", f"{deployed.candidate}=10"]) == 1
    assert f"{deployed.candidate} is no longer in llama-cpp" in capsys.readouterr().err
    assert register.known(deployed.candidate).state == "candidate"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["promote", "my-twin:2020-01-01-abcdef"], 1, "no version named my-twin:2020-01-01-abcdef"),
        (["retire", "CHAMPION"], 2, "is the champion of my-twin"),
        (["traffic", "CHAMPION=90"], 2, "add up to 90%, not to 100"),
        (["traffic", "CHAMPION=90", "CHALLENGER=20"], 2, "add up to 110%, not to 100"),
        (["traffic", "CHALLENGER=101"], 2, "a share is from 0 to 100"),
        (["traffic", "CHALLENGER=-1"], 2, "a share is from 0 to 100"),
        (["traffic", "CHALLENGER=ten"], 2, "is no share of a version"),
        (["traffic", "CHALLENGER=10", "CHALLENGER=20"], 2, "is given two shares"),
        (["traffic", "other:2020-01-01-abcdef=10"], 1, "other has no champion"),
        (["show", "nobody:1"], 1, "no version named nobody:1"),
        (["exposed", "--post", "nothing"], 1, "no version is known to have seen"),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    arguments: list[str], code: int, says: str, register: Versions, capsys: pytest.CaptureFixture[str]
) -> None:
    from test_versions_registry import version

    for name in ("my-twin:a", "my-twin:b"):
        register.record(version(name))
    register.promote("my-twin:a", "first")
    before = [*register.list(), *register.events()]
    names = {"CHAMPION": "my-twin:a", "CHALLENGER": "my-twin:b"}
    for placeholder, name in names.items():
        arguments = [argument.replace(placeholder, name) for argument in arguments]
    assert main(["models", *arguments]) == code
    told = capsys.readouterr().err
    assert says in told
    assert "hint:" in told
    assert [*register.list(), *register.events()] == before


def test_the_versions_that_saw_a_post_are_found_by_id_path_and_title(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    for asked in ("1" * 16, "post-1.md", "./blogs/2026/post-1.md", "The post 1"):
        (found,) = _json(capsys, "models", "exposed", "--post", asked)
        assert sorted(found["versions"]) == sorted([deployed.champion, deployed.candidate])
        assert found["path"] == "2026/post-1.md"
    assert main(["models", "exposed", "--post", "post-2.md"]) == 1, "it was held out"


def test_two_versions_beside_each_other(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    differing = {one["what"] for one in _json(capsys, "models", "diff", deployed.champion, deployed.candidate)}
    assert "megabytes" in differing
    assert not {"base hash", "data hash", "posts seen"} & differing
    assert _json(capsys, "models", "diff", deployed.champion, deployed.champion) == []
    shown = _json(capsys, "models", "show", deployed.champion)
    assert [one["path"] for one in shown["posts"]] == ["2026/post-1.md"]
    assert [one["event"] for one in shown["events"]] == ["recorded", "promoted"]


def test_a_promotion_killed_before_the_name_moved_is_mended(
    deployed: Deployed, register: Versions, capsys: pytest.CaptureFixture[str]
) -> None:
    script = (
        "import os, sys\n"
        "from blogtwin.cli.app import main\n"
        "from blogtwin.runtimes.llama_cpp import LlamaCpp\n"
        "LlamaCpp.copy = lambda *given: os.kill(os.getpid(), 9)\n"
        "main(['models', 'promote', sys.argv[1]])\n"
    )
    command = [sys.executable, "-c", script, deployed.candidate]
    done = subprocess.run(command, env=os.environ, timeout=120, check=False)
    assert done.returncode == -9
    champion = register.champion("my-twin")
    assert champion is not None
    assert champion.name == deployed.candidate, "the server follows the register"
    assert _stands_for() == deployed.champion, "and the name still answers"
    assert main(["models", "list"]) == 0
    assert _stands_for() == deployed.candidate
    assert "moved to the champion" in capsys.readouterr().err


def test_a_deploy_cut_off_before_it_was_recorded_is_recorded(
    deployed: Deployed, register: Versions, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: type[Database], url: str | None) -> Database:
        raise StoreError("the database is locked", "wait")

    with monkeypatch.context() as broken:
        broken.setattr(Database, "open", classmethod(gone))
        second = _deploy(deployed.project, "f32")
    assert _stands_for() == second, "what was proved serves, whatever the register does"
    assert register.find(second) is None
    states = {one["name"]: one["state"] for one in _json(capsys, "models", "list", "my-twin")}
    assert states == {second: "champion", deployed.champion: "retired", deployed.candidate: "candidate"}
    assert register.earlier("my-twin") == deployed.champion
    assert list(promotion.mend(_settings(), register)) == [], "and then there is nothing left to mend"


def test_a_deployment_whose_adapter_is_gone_is_passed_over(deployed: Deployed, register: Versions) -> None:
    found = find_deployment(deployed.champion)
    assert found is not None
    moved = {"name": "other:2026-11-21-abcdef", "version": "other:2026-11-21-abcdef", "adapter": "/nowhere"}
    save_deployment(found.model_copy(update=moved))
    assert list(promotion.mend(_settings(), register)) == []
    assert {one.twin for one in register.list()} == {"my-twin"}


@pytest.mark.parametrize("other", ["--bundle", "--verify-only"])
def test_a_challenger_is_not_bundled_or_proved_under_a_name_it_does_not_have(
    other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", "--challenger", other, "elsewhere"]) == 2
    assert f"--challenger with {other}" in capsys.readouterr().err


def test_candidates_beyond_deployment_keep_go_after_a_promotion_unless_a_name_stands_for_them(
    deployed: Deployed, register: Versions, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """deployed.candidate is the older one; another stands under a name of the user's own."""
    mine = load_settings(
        None, {"deployment": {"quantize": "f32", "model_name": "my-twin:mine", "ollama_base_url": NOBODY}}
    )
    deploy.run(replace(mine, machine=_settings().machine), deployed.project, Silent())
    named = _stands_for("my-twin:mine")
    assert named is not None
    newest = _deploy(deployed.project, "bf16", challenger=True)
    monkeypatch.setenv("BLOGTWIN_DEPLOYMENT_KEEP", "1")
    capsys.readouterr()
    assert main(["models", "promote", newest]) == 0
    assert f"nobody needs them any more: {deployed.candidate}" in capsys.readouterr().err
    states = {one.name: one.state for one in register.list()}
    assert states == {
        newest: "champion",
        deployed.champion: "retired",
        deployed.candidate: "retired",
        named: "candidate",
    }
    assert sorted(LlamaCpp().names()) == sorted([newest, "my-twin:latest", deployed.champion, named, "my-twin:mine"]), (
        "a rollback would go back to the earlier champion"
    )
    assert deployed.project.model.is_dir(), "no turn has made it"
    assert main(["models", "rollback"]) == 0
