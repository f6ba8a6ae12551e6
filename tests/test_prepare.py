"""The prepare stage: what is dropped and why, what stands on which side, and the same bytes whatever happens on the way."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blogtwin import jsonl
from blogtwin.config import load_settings
from blogtwin.dataset.cards import Card
from blogtwin.dataset.split import held_out
from blogtwin.errors import BrokenRecord, InputError, NothingUsable
from blogtwin.jsonl import Line
from blogtwin.progress import Silent
from blogtwin.records import Example, Post, content_id
from blogtwin.stages import ingest, prepare
from blogtwin.stages.result import StageResult
from blogtwin.words import count_words
from blogtwin.workspace import Workspace

EXAMPLES = Path(__file__).parent.parent / "examples" / "blog"


def words(seed: int, count: int = 120) -> str:
    """Sentences that no other seed shares a word sequence with."""
    chosen = random.Random(seed)
    return " ".join(
        " ".join(f"{chosen.choice('bcdfgklmnprst')}{chosen.choice('aeiou')}{chosen.randrange(99)}" for _ in range(10))
        + "."
        for _ in range(count // 10)
    )


def post(path: str, text: str, **fields: object) -> Post:
    given: dict[str, object] = {
        "id": content_id(path, text), "path": path, "title": path, "text": text, "format": "markdown",
        "word_count": count_words(text), "created_at": None, "created_from": None,
    }  # fmt: skip
    return Post.model_validate(given | fields)


def card(path: str, day: str = "", **fields: object) -> Card:
    return Card(content_id(path), path, Line(1, 0, 0), day, 100, 100, **fields)  # type: ignore[arg-type]


def run(folder: Path, posts: list[Post], **data: object) -> tuple[StageResult, list[Example], list[Example]]:
    settings = load_settings(None, {"data": {"output_dir": folder, **data}})
    workspace = Workspace.here(settings)
    jsonl.write(workspace.posts, posts)
    result = prepare.run(settings, workspace, Silent())
    assert prepare.plan(settings, workspace).stale() is None
    return result, list(jsonl.read(workspace.training_data, Example)), list(jsonl.read(workspace.validation, Example))


def test_what_is_dropped_is_named_with_its_reason(tmp_path: Path) -> None:
    day = datetime(2020, 1, 1, tzinfo=UTC)
    old = words(3)
    posts = [
        post("a.md", words(1)),
        post("b.md", words(2)),
        post("c-old.md", old, created_at=day, created_from="front matter"),
        post("c-new.md", old + " " + words(4, 10), created_at=day.replace(year=2021), created_from="front matter"),
        post("d.md", words(1).upper().replace(".", "!")),
        post("e.md", ""),
        post("f.md", "Too short."),
        post("g.md", "```\n" + words(9) + "\n```"),
        post("h.md", words(5), draft=True),
    ]
    result, train, validation = run(tmp_path, posts)
    reasons = {problem.path: problem.reason for problem in result.problems if problem.lost}
    assert sorted(reasons) == ["a.md", "c-old.md", "e.md", "f.md", "g.md", "h.md"]
    assert "shares" in reasons["c-old.md"]
    assert "c-new.md; the newer one is kept" in reasons["c-old.md"]
    assert "is the same text as d.md" in reasons["a.md"]
    assert reasons["e.md"] == "has no text of its own"
    assert reasons["f.md"] == "has 2 words outside code; at least 40 are wanted"
    assert "draft" in reasons["h.md"]
    assert (result.counts["posts"], result.counts["kept"]) == (9, 3)
    assert result.counts["dropped, too short"] == 2
    assert result.counts["training examples"] == len(train) > 0
    assert result.counts["validation examples"] == len(validation) > 0
    assert run(tmp_path, posts, drafts=True)[0].counts["kept"] == 4


def test_no_post_and_nothing_like_it_stands_on_both_sides(tmp_path: Path) -> None:
    posts = [post(f"{number:02}.md", words(number)) for number in range(20)]
    posts += [post(f"sequel-{n:02}.md", words(n, 60) + " " + words(100 + n, 60)) for n in range(10)]
    posts += [post(f"cups.{language}.md", words(hash_)) for hash_, language in enumerate(("en", "ja", "de"), 200)]
    paths = {one.id: one.path for one in posts}
    _, train, validation = run(tmp_path, posts, split=0.7)
    sides = [{paths[example.post_id] for example in side} for side in (train, validation)]
    assert sides[0] | sides[1] == set(paths.values())
    assert not sides[0] & sides[1]
    assert 7 <= len(sides[1]) <= 10
    for number in range(10):
        assert (f"{number:02}.md" in sides[1]) == (f"sequel-{number:02}.md" in sides[1])
    assert len({f"cups.{language}.md" in sides[1] for language in ("en", "ja", "de")}) == 1


def test_the_split_does_not_depend_on_the_order_and_hardly_on_one_post_more() -> None:
    posts = [card(f"{number}.md") for number in range(50)]
    chosen = held_out(posts, [], 0.8, 7)
    assert len(chosen) == 10
    assert held_out(posts[::-1], [], 0.8, 7) == chosen
    assert held_out(posts, [], 0.8, 8) != chosen
    assert len(held_out([*posts, card("new.md")], [], 0.8, 7) - chosen) <= 1
    assert len(held_out(posts[:2], [], 0.999, 7)) == 1
    assert len(held_out(posts[:2], [], 0.001, 7)) == 1


@pytest.mark.parametrize(
    ("posts", "said", "hint"),
    [
        ([], "no posts to prepare", "blogtwin ingest"),
        ([post("a.md", "Short.")], r"none of the 1 posts gives an example \(1 too short\)", "data.min_words"),
        ([post("a.md", words(1), draft=True)], "1 draft", "--drafts"),
        ([post("a.md", words(1))], "only one usable post", "add posts"),
        ([post("a.md", words(1)), post("b.md", words(1, 60) + words(2, 60))], "versions of the same text", "add posts"),
    ],
    ids=["none", "short", "drafts", "one", "alike"],
)
def test_too_little_to_learn_from_is_an_error_with_a_way_out(
    tmp_path: Path, posts: list[Post], said: str, hint: str
) -> None:
    with pytest.raises(NothingUsable, match=said) as refused:
        run(tmp_path, posts)
    assert hint in refused.value.hint
    assert not (tmp_path / "training_data.jsonl").exists()


def test_a_broken_line_in_the_posts_is_named_and_leaves_the_earlier_examples(tmp_path: Path) -> None:
    posts = [post(f"{number}.md", words(number)) for number in range(3)]
    run(tmp_path, posts)
    before = (tmp_path / "training_data.jsonl").read_bytes()
    lines = (tmp_path / "raw_blogs.jsonl").read_text(encoding="utf-8").splitlines()
    lines[1] = lines[1][:50]
    (tmp_path / "raw_blogs.jsonl").write_text("\n".join(lines), encoding="utf-8")
    settings = load_settings(None, {"data": {"output_dir": tmp_path}})
    with pytest.raises(BrokenRecord, match="line 2"):
        prepare.run(settings, Workspace.here(settings), Silent())
    assert (tmp_path / "training_data.jsonl").read_bytes() == before
    (tmp_path / "raw_blogs.jsonl").unlink()
    with pytest.raises(InputError, match="is not there"):
        prepare.run(settings, Workspace.here(settings), Silent())


def test_the_example_blog_gives_every_kind_of_example_without_machinery(tmp_path: Path) -> None:
    settings = load_settings(None, {"data": {"input_dir": EXAMPLES, "output_dir": tmp_path}})
    workspace = Workspace.here(settings)
    ingest.run(settings, workspace, Silent())
    result = prepare.run(settings, workspace, Silent())
    found = [*jsonl.read(workspace.training_data, Example), *jsonl.read(workspace.validation, Example)]
    assert {example.kind for example in found} == {"topic", "outline", "continuation", "section"}
    assert result.counts["kept"] == 29
    assert len({example.id for example in found}) == len(found)
    for example in found:
        assert example.output == example.output.strip()
        assert not any(mark in example.output for mark in ("{{<", "<!--", "![", "date:"))


KILLED = """
import sys
from blogtwin.config import load_settings
from blogtwin.progress import Silent
from blogtwin.stages import ingest, prepare
from blogtwin.workspace import Workspace
settings = load_settings(None, {"data": {"input_dir": sys.argv[1], "output_dir": sys.argv[2]}})
print("ready", flush=True)
for stage in (ingest, prepare):
    stage.run(settings, Workspace.here(settings), Silent())
    print("done", flush=True)
"""


def test_a_run_killed_in_either_stage_and_started_again_ends_with_the_same_bytes(tmp_path: Path) -> None:
    blog = tmp_path / "blog"
    blog.mkdir()
    for number in range(60):
        (blog / f"2020-01-01-{number:03}.md").write_text(f"# Post {number}\n\n{words(number, 300)}", encoding="utf-8")
    command = [sys.executable, "-c", KILLED, str(blog)]
    seconds = []
    with subprocess.Popen([*command, str(tmp_path / "calm")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seconds += [time.monotonic() for _ in process.stdout]  # ready, done, done
    assert process.returncode == 0
    lasts = [seconds[1] - seconds[0], seconds[2] - seconds[1]]
    names = ("raw_blogs.jsonl", "training_data.jsonl", "validation.jsonl")
    calm = {name: (tmp_path / "calm" / name).read_bytes() for name in names}
    shaken = tmp_path / "shaken"
    killed_in: set[int] = set()
    for stage, share in ((0, 0.3), (0, 0.9), (1, 0.3), (1, 0.95)):
        with subprocess.Popen([*command, str(shaken)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            [process.stdout.readline() for _ in range(stage + 1)]
            time.sleep(lasts[stage] * share)
            process.send_signal(signal.SIGKILL)
            killed_in.add(stage + process.stdout.read().count("done"))
        for name in names:  # whole under its own name, or not there
            assert not (shaken / name).exists() or (shaken / name).read_bytes() == calm[name]
    assert killed_in >= {0, 1}
    subprocess.run([*command, str(shaken)], check=True, capture_output=True)
    assert {name: (shaken / name).read_bytes() for name in names} == calm
    assert sorted(path.name for path in shaken.iterdir()) == sorted(path.name for path in (tmp_path / "calm").iterdir())


def test_what_a_guest_signed_is_left_out_where_most_is_signed_by_one(tmp_path: Path) -> None:
    ours = [post(f"{number}.md", words(number)).model_copy(update={"author": "Jane Doe"}) for number in range(5)]
    guest = post("guest.md", words(77)).model_copy(update={"author": "Bob Roe"})
    both = post("both.md", words(78)).model_copy(update={"author": "Jane Doe and Bob Roe"})
    unsigned = post("unsigned.md", words(79))
    result, _, _ = run(tmp_path, [*ours, guest, both, unsigned])
    dropped = {problem.path: problem.reason for problem in result.problems if problem.lost}
    assert dropped == {"guest.md": "is signed by Bob Roe, not by Jane Doe; --author chooses"}
