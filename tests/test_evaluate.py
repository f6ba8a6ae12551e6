"""The evaluate stage: a deployed twin beside its base, from the files to the report, through the real llama.cpp."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from blogtwin import jsonl
from blogtwin.config import DeploymentSettings, EvaluationSettings, MachineSettings, Settings
from blogtwin.errors import BrokenRecord, ConfigError, InputError, NothingUsable, RuntimeUnavailable
from blogtwin.evaluation.report import Report, read_report
from blogtwin.evaluation.verdict import Side
from blogtwin.progress import Silent
from blogtwin.records import Example, Message, Sampling, content_id
from blogtwin.runtimes.answer import Answer
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.runtimes.ollama import Ollama
from blogtwin.stages import deploy, evaluate
from blogtwin.stages.held_out import Question
from blogtwin.stages.judging import judge
from blogtwin.workspace import Workspace
from conftest import EXAMPLES
from evaluation_texts import assistant, post

SETTINGS = Settings(
    deployment=DeploymentSettings(model_name="tiny:latest", runtime="llama-cpp", quantize="f16"),
    evaluation=EvaluationSettings(samples=3, max_tokens=32, perplexity_examples=6, concurrency=1),
    machine=MachineSettings(threads=1),
)


def examples(paths: Sequence[Path]) -> list[Example]:
    """A topic, and a continuation whose text stands in it as well, for each post."""
    found = []
    for path in paths:
        text = re.sub(r"\A(---|\+\+\+)\n.*?\n\1\n", "", path.read_text("utf-8"), flags=re.DOTALL).strip()
        for kind, instruction, given, output in (
            ("topic", f"Write a post called “{path.stem[11:]}”.", "", text),
            ("continuation", "Go on with this post.", text[:300], text[300:]),
        ):
            number = content_id(path.stem, kind)
            found.append(
                Example.model_validate(
                    {
                        "id": number,
                        "post_id": path.stem,
                        "kind": kind,
                        "instruction": instruction,
                        "input": given,
                        "output": output,
                    }
                )
            )
    return found


@pytest.fixture(scope="module")
def project(tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of work, up to the adapter, with two test prompts."""
    folder = tmp_path_factory.mktemp("project")
    posts = sorted(EXAMPLES.glob("*.md"))
    jsonl.write(folder / "data" / "validation.jsonl", examples(posts[:4]))
    jsonl.write(folder / "data" / "training_data.jsonl", examples(posts[4:]))
    shutil.copytree(tiny_adapter, folder / "models" / "tiny")
    (folder / "prompts").mkdir()
    (folder / "prompts" / "test_prompts.txt").write_text(
        "# mine\nWrite about fog.\n\nWrite about fog.\nWhy do you write?\n", encoding="utf-8"
    )
    return folder


@pytest.fixture(scope="module")
def home(project: Path) -> Iterator[Path]:
    """A home in which the twin has been deployed once for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOGTWIN_HOME", str(project / "home"))
        patch.chdir(project)
        deploy.run(SETTINGS, Workspace.here(SETTINGS), Silent())
        yield project / "home"


@pytest.fixture
def workspace(project: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The project with a report of the test's own."""
    monkeypatch.setenv("BLOGTWIN_HOME", str(home))
    monkeypatch.chdir(project)
    return replace(Workspace.here(SETTINGS), report=tmp_path / "results" / "eval_report.json")


def test_a_deployed_twin_is_measured_beside_its_base(workspace: Workspace) -> None:
    result = evaluate.run(SETTINGS, workspace, Silent())
    raw = json.loads(workspace.report.read_text("utf-8"))
    assert {"perplexity", "style_similarity_score", "average_bleu", "sample_comparisons"} <= raw.keys()
    report = Report.model_validate(raw)
    assert report == read_report(workspace.report)
    assert report.model == "tiny:latest"
    # Random weights over 1,024 tokens guess about evenly; LoRA noise makes that worse, and never the same.
    assert 500 < report.perplexity_base < 3000
    assert report.perplexity != pytest.approx(report.perplexity_base, rel=1e-3)
    assert report.counts.examples == 6
    assert report.counts.posts == 4, "six of eight examples must come from all four posts"
    assert report.counts.training_posts == len(sorted(EXAMPLES.glob("*.md"))) - 4
    assert sum(post.tokens for post in report.losses) == report.counts.answer_tokens
    assert [sample.origin for sample in report.sample_comparisons] == ["held-out title"] * 3 + ["test prompt"] * 2
    assert [sample.prompt for sample in report.sample_comparisons][3:] == ["Write about fog.", "Why do you write?"]
    for sample in report.sample_comparisons:
        assert sample.base
        assert sample.base != sample.twin
        assert (sample.author is None) == (sample.origin == "test prompt")
    trained_on = {path.stem[11:] for path in sorted(EXAMPLES.glob("*.md"))[4:]}
    for sample in report.sample_comparisons[:3]:
        assert len(sample.shown) == 3
        assert set(sample.shown) <= trained_on, "the few-shot base must not be shown what is held out"
        assert sample.few_shot not in (None, sample.base)
    assert report.few_shot is not None
    assert report.few_shot.answers == 3
    assert report.perplexity_few_shot is None, "answers of 512 tokens leave no room in a context of 512"
    assert any("6 of 6 held-out answers leave no room" in remark for remark in report.remarks)
    assert set(report.perplexity_by_kind) == {"topic", "continuation"}
    assert report.authorship is not None
    assert report.authorship.imposters == "the base model's answers"
    assert report.parity is not None
    assert report.parity.agreement > 0.9
    assert report.lineage.version is not None
    assert report.quiz is None
    assert report.verdict.sentence == result.notes[0]
    assert report.voice.prompts == 3
    assert result.counts["perplexity"] == round(report.perplexity, 2)
    assert result.counts["perplexity_base"] == round(report.perplexity_base, 2)


def test_where_titles_are_few_each_is_answered_several_times_for_the_voice(workspace: Workspace) -> None:
    evaluate.run(replace(SETTINGS, evaluation=replace(SETTINGS.evaluation, samples=4)), workspace, Silent())
    once = read_report(workspace.report)
    evaluate.run(replace(SETTINGS, evaluation=replace(SETTINGS.evaluation, samples=11)), workspace, Silent())
    twice = read_report(workspace.report)
    assert [report.counts.answers_a_title for report in (once, twice)] == [1, 2]
    assert [report.counts.held_out_titles for report in (once, twice)] == [4, 4]
    assert twice.sample_comparisons == once.sample_comparisons
    assert twice.voice.prompts == once.voice.prompts == 4
    assert twice.voice.words > 1.5 * once.voice.words


def _without_versions() -> list[str]:
    """What the embedded llama.cpp serves, beside the dated versions that a deploy keeps."""
    return [name for name in LlamaCpp().names() if not name.startswith("tiny:20")]


def test_the_base_is_gone_from_the_runtime_afterwards(workspace: Workspace, home: Path) -> None:
    evaluate.run(SETTINGS, workspace, Silent())
    assert _without_versions() == ["tiny:latest"]
    assert len(list((home / "served" / "blobs").iterdir())) == 1
    assert not (home / ".base-of-tiny").exists()


def test_the_same_twin_gives_the_same_report_and_a_second_run_is_not_needed(workspace: Workspace, home: Path) -> None:
    assert evaluate.plan(SETTINGS, workspace).stale() == "it has not run yet"
    evaluate.run(SETTINGS, workspace, Silent())
    first = workspace.report.read_bytes()
    assert evaluate.plan(SETTINGS, workspace).stale() is None
    shutil.rmtree(workspace.report.parent)
    shutil.rmtree(home / "answers")
    evaluate.run(SETTINGS, workspace, Silent())
    assert workspace.report.read_bytes() == first


def test_a_killed_evaluation_goes_on_where_it_stopped(
    workspace: Workspace, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate.run(SETTINGS, workspace, Silent())
    whole = workspace.report.read_bytes()
    shutil.rmtree(workspace.report.parent)
    shutil.rmtree(home / "answers")
    asked: list[str] = []
    real = LlamaCpp.chat

    def dies_at_the_eighth(self: LlamaCpp, name: str, messages: Sequence[Message], options: Sampling) -> Answer:
        asked.append(name)
        if len(asked) == 8:
            raise KeyboardInterrupt
        return real(self, name, messages, options)

    monkeypatch.setattr(LlamaCpp, "chat", dies_at_the_eighth)
    with pytest.raises(KeyboardInterrupt):
        evaluate.run(SETTINGS, workspace, Silent())
    assert not workspace.report.exists()
    assert not [name for name in LlamaCpp().names() if ":base-" in name], (
        "the base must be gone after a failure as well"
    )
    torn, broken = sorted((home / "answers").glob("*.jsonl"))
    first, *rest = broken.read_text("utf-8").splitlines(keepends=True)
    broken.write_text("".join([first, "not an answer\n", *rest]), encoding="utf-8")
    with torn.open("a", encoding="utf-8") as file:
        file.write('{"id": "half a li')  # what a kill in the middle of a write leaves
    progress = Silent()
    evaluate.run(SETTINGS, workspace, progress)
    assert len(asked) == 8 + 6, "seven of thirteen answers were there already, in spite of the broken line"
    assert sum("1 broken lines are left out" in note for note in progress.notes) == 2
    assert workspace.report.read_bytes() == whole


def test_a_base_that_cannot_be_served_leaves_nothing_behind(
    workspace: Workspace, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(home / "answers", ignore_errors=True)

    def full(*_: object) -> None:
        raise RuntimeUnavailable("the runtime is out of memory", "free some")

    monkeypatch.setattr(LlamaCpp, "install", full)
    with pytest.raises(RuntimeUnavailable, match="out of memory"):
        evaluate.run(SETTINGS, workspace, Silent())
    assert _without_versions() == ["tiny:latest"]
    assert not (workspace.report.parent / ".base-model").exists()


def test_in_a_real_ollama_the_base_answers_and_is_gone_afterwards(
    workspace: Workspace, ollama: str, tmp_path: Path
) -> None:
    settings = replace(
        SETTINGS,
        deployment=replace(
            SETTINGS.deployment, model_name="tiny-there:latest", runtime="ollama", ollama_base_url=ollama
        ),
    )
    own = replace(workspace, model=Path(shutil.copytree(workspace.model, tmp_path / "tiny-there")))
    deploy.run(settings, own, Silent())
    before = sorted(Ollama(ollama).names())
    evaluate.run(settings, own, Silent())
    report = Report.model_validate_json(workspace.report.read_text("utf-8"))
    assert report.runtime == "ollama"
    assert all(sample.base and sample.base != sample.twin for sample in report.sample_comparisons)
    assert sorted(Ollama(ollama).names()) == before
    assert "tiny-there:latest" in before


def test_held_out_examples_without_titles_still_give_a_perplexity(workspace: Workspace, tmp_path: Path) -> None:
    untitled = tmp_path / "validation.jsonl"
    kept = [one for one in jsonl.read(workspace.validation, Example) if one.kind != "topic"]
    jsonl.write(untitled, kept)
    result = evaluate.run(SETTINGS, replace(workspace, validation=untitled), Silent())
    assert result.counts["perplexity"] > 1
    assert "voice" not in result.counts
    assert any("no held-out title" in note for note in result.notes)


def test_other_prompts_make_the_stage_run_again(workspace: Workspace, tmp_path: Path) -> None:
    evaluate.run(SETTINGS, workspace, Silent())
    more = tmp_path / "more.txt"
    more.write_text("Write about bees.\n", encoding="utf-8")
    changed = replace(SETTINGS, evaluation=replace(SETTINGS.evaluation, test_prompts_file=more))
    assert evaluate.plan(changed, workspace).stale() is not None
    evaluate.run(changed, workspace, Silent())
    assert "Write about bees." in workspace.report.read_text("utf-8")


def test_a_name_that_was_never_deployed_is_told_with_those_that_were(workspace: Workspace) -> None:
    other = replace(SETTINGS, deployment=replace(SETTINGS.deployment, model_name="nobody:latest"))
    assert evaluate.plan(other, workspace).stale() is not None, "a dry run before the first deploy must not fail"
    with pytest.raises(InputError, match="no twin named nobody:latest") as told:
        evaluate.run(other, workspace, Silent())
    assert "tiny:latest" in told.value.hint


def test_an_empty_test_set_is_named(workspace: Workspace, tmp_path: Path) -> None:
    empty = tmp_path / "validation.jsonl"
    empty.write_text("\n", encoding="utf-8")
    with pytest.raises(NothingUsable, match=r"validation\.jsonl holds no example"):
        evaluate.run(SETTINGS, replace(workspace, validation=empty), Silent())


def test_a_broken_line_is_named_with_its_number(workspace: Workspace, tmp_path: Path) -> None:
    broken = tmp_path / "validation.jsonl"
    lines = workspace.validation.read_text("utf-8").splitlines()
    broken.write_text("\n".join([lines[0], lines[1][:40], *lines[2:]]), encoding="utf-8")
    with pytest.raises(BrokenRecord, match=r"validation\.jsonl, line 2: is not JSON"):
        evaluate.run(SETTINGS, replace(workspace, validation=broken), Silent())


def test_a_test_set_without_training_data_beside_it_says_what_is_missing(workspace: Workspace, tmp_path: Path) -> None:
    missing = tmp_path / "training_data.jsonl"
    with pytest.raises(InputError, match=r"training_data\.jsonl is not there") as told:
        evaluate.run(SETTINGS, replace(workspace, training_data=missing), Silent())
    assert "prepare-dataset" in told.value.hint


def test_a_test_set_that_was_trained_on_is_refused(workspace: Workspace) -> None:
    with pytest.raises(NothingUsable, match="holds no post that is not in"):
        evaluate.run(SETTINGS, replace(workspace, validation=workspace.training_data), Silent())


def test_a_prompts_file_that_was_asked_for_and_is_not_there_is_named(workspace: Workspace) -> None:
    gone = replace(SETTINGS, evaluation=replace(SETTINGS.evaluation, test_prompts_file=Path("gone.txt")))
    with pytest.raises(ConfigError, match=r"gone\.txt is not there"):
        evaluate.run(gone, workspace, Silent())


def test_the_prompts_that_come_with_blogtwin_cover_five_kinds_of_post(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blogtwin.stages.held_out import questions

    monkeypatch.chdir(tmp_path)  # no prompts/ of their own here
    prompts = [question.prompt for question in questions([], SETTINGS.evaluation)]
    assert len(prompts) == 15
    assert len(set(prompts)) == 15
    for kind in ("tutorial", "how-to", "looks back", "opinion", "news"):
        assert any(kind in prompt for prompt in prompts), kind


def test_other_writers_are_the_imposters_where_there_are_some(workspace: Workspace, tmp_path: Path) -> None:
    others = tmp_path / "others"
    for writer, write in (("ann", assistant), ("ben", post)):
        for number in range(3):
            (others / writer).mkdir(parents=True, exist_ok=True)
            (others / writer / f"{number}.md").write_text(f"# Post {number}\n\n{write(number, 1)}\n", encoding="utf-8")
    settings = replace(SETTINGS, evaluation=replace(SETTINGS.evaluation, others=others))
    evaluate.run(settings, workspace, Silent())
    test = read_report(workspace.report).authorship
    assert test is not None
    assert (test.imposters, test.writers) == ("other writers", 2)
    assert test.base is not None
    assert len(test.author.each) == 3
    assert evaluate.plan(settings, workspace).stale() is None
    (others / "ben" / "3.md").write_text(post(4, 2), encoding="utf-8")
    assert evaluate.plan(settings, workspace).stale() is not None
    nobody = replace(SETTINGS, evaluation=replace(SETTINGS.evaluation, others=tmp_path / "nobody"))
    with pytest.raises(InputError, match="nobody is not there"):
        evaluate.run(nobody, workspace, Silent())


def test_a_judge_that_talks_nonsense_is_counted_and_decides_nothing(workspace: Workspace) -> None:
    asked = [Question(f"Write about {what}.", "It rained.") for what in ("fog", "bees")]
    said: dict[Side, list[str]] = {"twin": ["Fog.", "Bees."], "base": ["Mist.", "Wasps."]}
    opinion = judge("tiny", LlamaCpp(1), asked, said, "It rained.", Silent())
    assert opinion.model == "tiny:latest"
    assert (opinion.scores["twin"].judged, opinion.scores["twin"].of) == (0, 2)
    assert opinion.over_base is not None
    assert opinion.over_base.unread == 2
    assert opinion.over_few_shot is None


def test_a_judge_that_fails_costs_its_opinion_alone_and_one_that_is_nowhere_is_named(workspace: Workspace) -> None:
    settings = replace(SETTINGS, evaluation=replace(SETTINGS.evaluation, judge="tiny"))
    evaluate.run(settings, workspace, Silent())
    report = read_report(workspace.report)
    assert report.judge is None
    assert any("tiny gave no opinion" in remark and "context" in remark for remark in report.remarks)
    unknown = replace(SETTINGS, evaluation=replace(SETTINGS.evaluation, judge="solomon"))
    with pytest.raises(InputError, match="has no model named solomon to judge"):
        evaluate.run(unknown, workspace, Silent())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"schema_version": 1, "perplexity": 12.5}', "schema version 1, and this blogtwin reads version 2"),
        ('{"schema_version": 2, "perplexity": 12.5}', "is no whole report: verdict"),
        ("half a li", "is no JSON"),
        (None, "is not there"),
    ],
)
def test_what_is_no_report_of_this_version_is_refused_with_a_remedy(
    content: str | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "eval_report.json"
    if content:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=said) as told:
        read_report(path)
    assert "blogtwin evaluate" in told.value.hint
