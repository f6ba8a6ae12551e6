"""The loop's turn as it is lived: enough or not, killed at each step, two at once, refused by the floor, with new posts.

A real twin (tiny), real training, real llama.cpp, real SQLite. The tests go on from each other's state, in their order.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from blogtwin.adapter_folder import read_card
from blogtwin.cli.app import main
from blogtwin.config import Settings, load_settings
from blogtwin.feedback.database import Database
from blogtwin.feedback.store import Store
from blogtwin.feedback.versions import Versions
from blogtwin.progress import Silent, Task
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.service_records import Draft, Feedback, Judgement, Version
from blogtwin.stages import learn
from blogtwin.stages.turn import Place, Turn, alone
from blogtwin.workspace import Workspace, find_deployment
from test_pipeline import NOUNS, paragraph

if TYPE_CHECKING:
    from postgres_server import PostgresServer

TWIN = "my-twin"
LEARN = ["learn", "--model-name", TWIN]
CONFIG = """
training: {epochs: 1, max_length: 256, learning_rate: 2e-3}
evaluation: {samples: 2, max_tokens: 24, few_shot_posts: 0, test_prompts_file: prompts.txt}
deployment: {runtime: llama-cpp, quantize: f16}
data: {input_dir: blog}
learning: {minimum: 5}
"""


def said(
    number: int, better: str = "The thing was there at six. I looked at it for a while; it looked back."
) -> Feedback:
    """A draft that was edited into something better."""
    now = datetime.now(UTC)
    draft = f"In conclusion, thing {number} is a game changer! It is a rich tapestry of delights, number {number}!"
    prompt = f"Write about {NOUNS[number % 8]} number {number * 37} and what became of it after the {number}th day."
    one = Draft(version="my-twin:2026-11-21-ab12cd", text=draft)
    told: dict[str, Any] = {"twin": TWIN, "kind": "write", "subject": "things", "prompt": prompt, "response": draft}
    dates = {"created_at": now, "judged_at": now}
    return Feedback(
        id=f"f{number:03}", drafts=(one,), version=one.version, rating=-1, edited_text=better, **told, **dates
    )


@contextmanager
def database() -> Iterator[tuple[Store, Versions]]:
    opened = Database.open(None)
    try:
        yield Store(opened, timedelta(minutes=15)), Versions(opened)
    finally:
        opened.close()


def unlearned() -> set[str]:
    with database() as (store, _):
        return {row.id for row in store.rows(twin=TWIN, unlearned=True)}


def listed(state: str) -> list[Version]:
    with database() as (_, register):
        return [one for one in register.list(TWIN) if one.state == state]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A folder with a twin that the pipeline has made and deployed."""
    folder = tmp_path_factory.mktemp("workshop")
    (folder / "blog").mkdir()
    for place, noun in enumerate(NOUNS):
        body = "\n\n".join(paragraph(noun, place * 7 + number) for number in range(3))
        (folder / "blog" / f"{noun}.md").write_text(f"---\ntitle: About the {noun}\n---\n{body}\n", encoding="utf-8")
    (folder / "pipeline_config.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "prompts.txt").write_text("Write about a kettle.\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("BLOGTWIN_HOME", str(folder / "home"))
        made = ["--model-name", TWIN, "--base-model", str(tiny_base), "--until", "deploy"]
        assert main(["pipeline", *made]) == 0
    return folder


@pytest.fixture(autouse=True)
def _there(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workshop)
    monkeypatch.setenv("BLOGTWIN_HOME", str(workshop / "home"))


def test_too_little_to_learn_from_is_a_sentence_and_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with database() as (store, _):
        store.add(map(said, range(4)))
    before = sorted(Path().rglob("*"))
    assert main(LEARN) == 0
    assert capsys.readouterr().out.startswith("my-twin has 4 new judgements to learn from; 5 are wanted")
    assert main([*LEARN, "--minimum", "3", "--dry-run"]) == 0
    assert "would learn from 4 judgements" in capsys.readouterr().out
    assert {path for path in sorted(Path().rglob("*")) if path not in before} <= {
        Path("home/learning"),
        Path("home/learning/my-twin.lock"),
    }
    assert main(["learn", "--model-name", "nobody"]) == 1
    assert "no twin named nobody has been deployed" in capsys.readouterr().err


def test_of_two_at_once_one_leaves_and_one_waits(capsys: pytest.CaptureFixture[str]) -> None:
    with alone(TWIN, wait=False):
        assert main(LEARN) == 1
        assert "my-twin is learning already" in capsys.readouterr().err
        waiting = subprocess.Popen([sys.executable, "-m", "blogtwin", *LEARN, "--wait"], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(3)
    out, _ = waiting.communicate(timeout=60)
    assert (waiting.returncode, "5 are wanted" in out.decode()) == (0, True)


# --- killed at each step

POINTS = (
    "before begin",
    "after begin",
    "after gathered",
    "at Training",
    "before trained",
    "after trained",
    "at Writing GGUF",
    "at Asking the deployed twin",
    "before deployed",
    "after deployed",
    "at Answers of",
    "at Measuring",
    "before learned",
    "before end",
)


def die(*_: Any, **__: Any) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


class Killing(Silent):
    """The process is killed in the middle of a piece of work."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label

    @contextmanager
    def task(self, label: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        with super().task(label, total, unit) as task:
            if label.startswith(self.label):
                task.advance = die  # type: ignore[method-assign]
            yield task


def around(kind: type, name: str, when: str, wanted: Callable[..., bool]) -> None:
    """Die before or after a call of a method."""
    real = getattr(kind, name)

    def called(*given: Any, **named: Any) -> Any:
        if when == "before" and wanted(*given):
            die()
        made = real(*given, **named)
        if when == "after" and wanted(*given):
            die()
        return made

    setattr(kind, name, called)


def armed(point: str) -> Silent:
    when, _, what = point.partition(" ")
    if when == "at":
        return Killing(what)
    if what == "learned":  # inside of the last transaction
        around(Store, "learned", when, lambda *_: True)
    elif what in ("begin", "end"):
        around(Place, what, when, lambda *_: True)
    else:
        around(Place, "keep", when, lambda _, turn: isinstance(turn, Turn) and turn.done == what)
    return Silent()


def settings() -> Settings:
    return load_settings(None, {"deployment": {"model_name": TWIN}})


def killed_one_after_the_other() -> None:
    """In a process of its own: for each point a child that goes on with the turn and dies there; tells what it left."""
    for heavy in ("torch", "peft", "trl"):  # loaded once, for all children
        importlib.import_module(heavy)
    for point in POINTS:
        child = os.fork()
        if not child:
            try:
                progress = armed(point)
                learn.run(settings(), Workspace.here(settings()), progress)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(3)
        _, status = os.waitpid(child, 0)
        if point == "after gathered":  # meanwhile somebody says something more, and something else
            with database() as (store, _):
                store.add([said(40)])
                store.judge("f001", Judgement(comment="on second thoughts"))
        named = find_deployment(TWIN)
        told = {
            "point": point,
            "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL,
            "unlearned": len(unlearned()),
            "challengers": len(listed("challenger")),
            "champion": [one.name for one in listed("champion")],
            "name": named and named.version,
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def test_a_turn_killed_at_each_step_ends_with_nothing_lost_doubled_or_half_deployed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with database() as (store, _):
        store.add(map(said, range(4, 12)))
    (champion,) = listed("champion")
    script = "from test_learn import killed_one_after_the_other as run; run()"
    there = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", script], env=there, capture_output=True, text=True, timeout=300)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["point"] for one in told if one["killed"]] == list(POINTS), done.stderr[-3000:]
    for one in told:
        assert (one["champion"], one["name"]) == ([champion.name], champion.name), one
    late = POINTS.index("after gathered")
    assert [(one["unlearned"], one["challengers"]) for one in told] == [
        *[(12, 0)] * late,
        *[(13, 0)] * (len(POINTS) - late - 1),
        (2, 1),  # only the file that says what is being done was left
    ]
    assert main([*LEARN, "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    (challenger,) = listed("challenger")
    assert (out["outcome"], out["version"], challenger.share) == ("challenger", challenger.name, 10)
    assert (challenger.parent, challenger.method) == (champion.name, "dpo")
    assert {"perplexity", "perplexity_base"} <= challenger.metrics.keys()
    assert unlearned() == {"f001", "f040"}
    with database() as (store, _):
        assert {row.learned_by for row in store.rows(twin=TWIN)} == {None, challenger.name}
    assert sorted(path.name for path in Path("models").iterdir()) == [TWIN, Path(challenger.adapter).name]
    names = {name for name in LlamaCpp(1).names() if name.startswith(TWIN)}
    assert names == {f"{TWIN}:latest", champion.name, challenger.name}
    assert not Path("learning", TWIN, "turn.json").exists()


def test_once_more_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = (listed("challenger"), unlearned(), sorted(Path("models").iterdir()))
    assert main(LEARN) == 0
    assert "has 2 new judgements to learn from; 5 are wanted" in capsys.readouterr().out
    assert (listed("challenger"), unlearned(), sorted(Path("models").iterdir())) == before


def test_of_what_was_learned_already_a_turn_takes_as_much_as_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each night would teach the whole past once more. What was said before of a question that is judged again is there."""
    again = said(3, "Otherwise: it was there, and I went by.").model_copy(update={"id": "again"})
    with database() as (store, _):
        store.add([again, *map(said, (12, 13))])
        learned = {row.id for row in store.rows(twin=TWIN) if row.learned_by}
    new = {"f001", "f040", "again", "f012", "f013"}

    def interrupted(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("blogtwin.stages.preferences.run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        learn.run(settings(), Workspace.here(settings()), Silent())
    place = Place(TWIN, Workspace.here(settings()).model.parent)
    taken = {row.id for row in place.rows()}
    assert new < taken
    assert "f003" in taken
    assert len(taken - new) == len(new) < len(learned)
    place.give_up()
    with database() as (store, _):
        store.forget(twin=TWIN)


def test_a_version_below_the_floor_serves_nobody_and_its_feedback_waits_for_more(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody teaches it to write nothing but letters, with nothing that keeps it near what it was."""
    with database() as (store, _):
        store.forget(twin=TWIN)
        store.add(said(number, "qzx jvk wqp xzj kkq " * 3) for number in range(50, 62))
    monkeypatch.setenv("BLOGTWIN_LEARNING_REPLAY", "0")
    monkeypatch.setenv("BLOGTWIN_TRAINING_BETA", "0.01")
    serving = [one.name for one in listed("challenger")]
    waiting = unlearned()
    assert main([*LEARN, "--lr", "0.03", "--epochs", "4", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["outcome"] == "refused", out
    assert "perplexity" in out["sentence"]
    assert out["sentence"].endswith("half as much training, 2 times, was no help")
    assert [one.name for one in listed("challenger")] == serving
    tried = [*out["below"], out["version"]]
    assert len(tried) == 3
    retired = {one.name: one for one in listed("retired")}
    for name in tried:
        gone = Path(retired[name].adapter)
        assert not gone.exists(), "a model of gigabytes that nobody is to have"
        assert any(f"removed models/{gone.name} (" in note for note in out["notes"])
        assert name not in LlamaCpp(1).names()
    kept = [Path(one.adapter).name for one in listed("challenger")]
    assert sorted(path.name for path in Path("models").iterdir()) == sorted([TWIN, *kept])
    assert unlearned() == waiting
    assert main(LEARN) == 0
    assert (
        f"nothing new to learn from ({len(waiting)} more were tried, and the version was refused)"
        in capsys.readouterr().out
    )


def test_what_falls_below_the_floor_is_trained_for_half_as_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with database() as (store, _):
        store.forget(twin=TWIN)
        store.add(map(said, range(62, 70)))
    looks: list[list[str]] = [["voice: 0.10 beside 0.60"]]
    monkeypatch.setattr("blogtwin.stages.rollout.below_floor", lambda *_: looks.pop() if looks else [])
    keep = Place.keep

    def interrupted(place: Place, turn: Turn) -> None:
        keep(place, turn)
        if turn.below:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Place, "keep", interrupted)
        learn.run(settings(), Workspace.here(settings()), Silent())
    assert main([*LEARN, "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["outcome"] == "challenger"
    assert out["sentence"].endswith("it was trained for half as long as the first of this turn, which was refused")
    (refused,) = out["below"]
    with database() as (_, register):
        first, second = register.find(refused), register.find(out["version"])
        register.retire(out["version"], "the next test begins where the last one ended")
    assert first
    assert second
    assert (first.state, second.state) == ("retired", "challenger")
    assert read_card(Path(second.adapter)).settings["epochs"] == 0.5
    assert not Path(first.adapter).exists()
    assert refused not in LlamaCpp(1).names()
    assert Path(second.adapter, "deploy").is_dir()
    assert unlearned() == set()


def test_new_posts_are_learned_first_and_a_version_s_parents_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    for noun in ("lantern", "harbour", "ladder", "button"):
        text = "\n\n".join(paragraph(noun, number * 11) for number in range(3))
        Path("blog", f"{noun}.md").write_text(f"---\ntitle: The {noun}\n---\n{text}\n", encoding="utf-8")
    with database() as (store, _):
        store.forget(twin=TWIN)
        store.add(map(said, range(70, 76)))
    assert main([*LEARN, "--dry-run"]) == 0
    assert "would read the blog folder again first: input blog has changed" in capsys.readouterr().out
    told = "data: {input_dir: blog}\n"
    Path("flags.yaml").write_text(CONFIG.replace(told, ""), "utf-8")  # as after `pipeline --blog-dir blog`
    assert main([*LEARN, "--config", "flags.yaml", "--dry-run"]) == 0
    assert "would read the blog folder again first: input blog has changed" in capsys.readouterr().out
    Path("flags.yaml").write_text(CONFIG.replace(told, "data: {min_words: 3}\n"), "utf-8")
    assert main([*LEARN, "--config", "flags.yaml", "--minimum", "99"]) == 0
    assert "new posts are not looked for" in capsys.readouterr().err
    assert main([*LEARN, "--minimum", "3", "--json"]) == 0
    version = json.loads(capsys.readouterr().out)["version"]
    (champion,) = listed("champion")
    with database() as (_, register):
        found = register.find(version)
        seen = {Path(post.path).stem for post in register.saw(version)}
        before = {Path(post.path).stem for post in register.saw(champion.name)}
    assert found
    assert (found.state, found.parent, found.method) == ("challenger", champion.name, "dpo")
    assert before < seen
    assert seen & {"lantern", "harbour", "ladder", "button"}
    assert unlearned() == set()
    assert len(listed("challenger")) == 2
    assert main([*LEARN, "--minimum", "3"]) == 0  # the champion has not seen the posts, but a version has
    assert "has nothing new to learn from" in capsys.readouterr().out


def test_what_a_promotion_leaves_behind_goes_and_what_a_rollback_needs_stays(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLOGTWIN_DEPLOYMENT_KEEP", "1")
    (first,) = listed("champion")
    second, third = sorted(listed("challenger"), key=lambda one: one.created_at)
    own = Path("models", f"{TWIN}-of-mine")  # no turn has made this
    own.mkdir()
    assert main(["models", "promote", second.name]) == 0
    assert {path.name for path in Path("models").iterdir()} >= {
        Path(one.adapter).name for one in (first, second, third)
    }
    assert main(["models", "promote", third.name]) == 0
    told = capsys.readouterr().err
    assert f"nobody needs them any more: {first.name}" in told
    assert Path(first.adapter).is_dir(), "the pipeline made it, and no turn"
    assert Path(second.adapter, "deploy").is_dir(), "a rollback goes back to it"
    with database() as (store, _):
        store.add(map(said, range(80, 86)))
    beside: list[str] = []
    # which of two tiny twins is better
    monkeypatch.setattr("blogtwin.stages.rollout.below_floor", lambda _, other: beside.append(other.name) or [])
    assert main([*LEARN, "--minimum", "3", "--json"]) == 0
    fourth = json.loads(capsys.readouterr().out)["version"]
    capsys.readouterr()
    assert beside == [f"eval_{one.name.partition(':')[2]}.json" for one in (third, first)], (
        "the first, too: losses add up"
    )
    with database() as (_, register):
        made = register.find(fourth)
    assert made
    read = json.loads((Path(made.adapter) / "manifest.json").read_text("utf-8"))["inputs"]
    close_to = {Path(path).parent.name for path in read if path.endswith("adapter_model.safetensors")}
    assert close_to == {Path(third.adapter).name, TWIN}, "not to the champion alone, or each turn could go as far again"
    assert main(["models", "promote", fourth]) == 0
    told = capsys.readouterr().err
    assert f"nobody needs them any more: {second.name}" in told
    assert f"{Path(second.adapter).name} (" in told
    assert not Path(second.adapter).exists()
    assert Path(third.adapter, "deploy").is_dir()
    assert main(["models", "promote", second.name]) == 1
    told = capsys.readouterr().err
    assert f"{second.name} is retired" in told
    assert "deploy --model-path" not in told, "that folder is gone"
    assert main(["models", "rollback", TWIN]) == 0
    assert own.is_dir()
    own.rmdir()


def test_a_turn_that_is_given_up_takes_what_it_made_along(capsys: pytest.CaptureFixture[str]) -> None:
    with database() as (store, register):
        champion = register.champion(TWIN)
        assert champion
        store.add(map(said, range(90, 93)))
        turn = Turn(
            id="0123456789ab",
            twin=TWIN,
            parent=champion.name,
            from_adapter=champion.adapter,
            read_at=datetime.now(UTC),
            lessons=("posts", "dpo"),
        )
    place = Place(TWIN, Path("models"))
    place.begin(turn, [])
    for lesson in range(2):
        (place.make(turn, lesson) / "checkpoints").mkdir(parents=True)
    there = {path.name for path in Path("models").iterdir()}
    assert {f"{TWIN}-0123456789ab", f"{TWIN}-0123456789ab-posts"} < there
    assert main([*LEARN, "--anew", "--minimum", "9"]) == 0
    assert {path.name for path in Path("models").iterdir()} == there - {
        f"{TWIN}-0123456789ab",
        f"{TWIN}-0123456789ab-posts",
    }
    assert f"removed models/{TWIN}-0123456789ab (" in capsys.readouterr().err
    assert place.open_turn() is None


def test_a_spoiled_turn_is_named_and_can_be_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    turn = Path("learning", TWIN, "turn.json")
    turn.write_text("{}", encoding="utf-8")
    assert main(LEARN) == 1
    assert f"rm {turn}" in capsys.readouterr().err
    assert main([*LEARN, "--anew"]) == 0
    assert not turn.exists()


def test_approved_texts_alone_are_learned_as_examples_with_a_postgresql_as_well(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres.new_database()
    monkeypatch.setenv("BLOGTWIN_FEEDBACK_DATABASE_URL", url)
    monkeypatch.setenv("BLOGTWIN_LEARNING_METHOD", "sft")
    assert main(["models", "list", TWIN, "--json"]) == 0  # puts on record what was deployed before
    (champion,) = [one for one in json.loads(capsys.readouterr().out) if one["state"] == "champion"]
    rows = [said(number, "It rained; nothing else did.").model_copy(update={"rating": 0}) for number in range(80, 86)]
    unedited = {"edited_text": None, "approved": True}
    rows = [row.model_copy(update=unedited | {"response": f"It rained on day {row.id}; so what."}) for row in rows]
    opened = Database.open(url)
    try:
        Store(opened, timedelta(minutes=15)).add(rows)
        assert main([*LEARN, "--minimum", "3", "--lr", "1e-4", "--json"]) == 0  # so that its voice stays as it is
        out = json.loads(capsys.readouterr().out)
        assert out["outcome"] == "challenger", out
        version = Versions(opened).find(out["version"])
        assert version
        assert (version.state, version.method, version.parent) == ("challenger", "sft", champion["name"])
        learned = Store(opened, timedelta(minutes=15)).rows(twin=TWIN)
        assert {row.learned_by for row in learned} == {version.name}
    finally:
        opened.close()
    assert main(LEARN) == 0
    assert "has nothing new to learn from" in capsys.readouterr().out


def test_the_lock_is_free_again_however_its_holder_ended() -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time\nfrom blogtwin.stages.turn import alone\nwith alone('x', False): time.sleep(99)",
        ]
    )
    lock = Path("home/learning/x.lock")
    while not lock.exists():
        time.sleep(0.02)
    time.sleep(0.2)
    holder.kill()
    holder.wait()
    taken = threading.Event()
    with alone("x", wait=False):
        taken.set()
    assert taken.is_set()
