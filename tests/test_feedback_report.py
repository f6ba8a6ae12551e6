"""`feedback report`: the like rate beside its target, as Markdown, a page and JSON; an exit code and a file that tell."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from blogtwin.cli.app import main
from blogtwin.config import Settings
from blogtwin.feedback import report_pages
from blogtwin.feedback.report import Report, report
from blogtwin.feedback.store import Store
from blogtwin.feedback.versions import SeenPost, Versions
from blogtwin.service_records import Draft, Feedback
from blogtwin.stages import lineage
from test_versions_registry import version

NOW = datetime.now(UTC)
NASTY = '<script>alert("x")</script>\n# no heading\n* [link](http://example.com) `code` | cell\x00\x1b[31m\ud800'


@pytest.fixture
def register() -> Iterator[Versions]:
    """a was champion until b took over; another twin has its own."""
    with lineage.register(Settings()) as register:
        register.record(version("my-twin:a", metrics={"voice": 0.61}), [SeenPost(post_id="1", path="a.md", title="A")])
        register.record(
            version("my-twin:b", metrics={"voice": 0.72}, method="dpo", parent="my-twin:a"),
            [SeenPost(post_id="1", path="a.md", title="A"), SeenPost(post_id="2", path="b.md", title="B")],
        )
        register.record(version("other:x"))
        for name in ("my-twin:a", "my-twin:b", "other:x"):
            register.promote(name, "readers prefer it")
        yield register


Say = Callable[..., None]


@pytest.fixture
def say(register: Versions) -> Say:
    store, chance = Store(register.database, timedelta(minutes=15)), random.Random(1)

    def say(
        likes: int, dislikes: int, subject: str = "bread", version: str = "my-twin:b", days: float = 1, **told: Any
    ) -> None:
        at = NOW - timedelta(days=days)
        store.add(
            Feedback(
                id=f"{chance.random()}",
                twin=version.partition(":")[0],
                kind="write",
                subject=subject,
                prompt="Write about it.",
                drafts=(Draft(version=version, text="A text."),),
                response="A text.",
                version=version,
                rating=1 if number < likes else -1,
                created_at=at,
                judged_at=at,
                **told,
            )
            for number in range(likes + dislikes)
        )

    return say


def _report(register: Versions, days: int | None = 7) -> Report:
    store = Store(register.database, timedelta(minutes=15))
    return report(store, register, "my-twin", 0.85, datetime.now(UTC), days)


def test_a_week_is_counted_by_subject_and_version_beside_the_week_before(register: Versions, say: Say) -> None:
    say(18, 2)
    say(4, 6, subject="weather", version="my-twin:a", comment="too long")
    say(1, 1, subject="rare")
    say(5, 0, subject="trains")
    say(9, 1, days=9)
    say(50, 50, days=30)
    say(0, 30, version="other:x")
    found = _report(register)
    assert (found.whole.likes, found.whole.dislikes) == (28, 9)
    assert found.whole.rate == pytest.approx(28 / 37)
    assert (found.whole.low, found.whole.high) == pytest.approx((0.599, 0.866), abs=0.001)  # Wilson, by hand
    assert found.under
    assert found.before is not None
    assert (found.before.likes, found.before.dislikes) == (9, 1)
    assert [(one.name, one.likes, one.dislikes) for one in found.subjects] == [
        ("bread", 18, 2),
        ("weather", 4, 6),
        ("trains", 5, 0),
        ("rare", 1, 1),
    ]
    assert [one.name for one in found.worst] == ["weather", "bread"], "two judgements make nothing the worst"
    assert {one.name: one.likes for one in found.versions} == {"my-twin:a": 4, "my-twin:b": 24}
    assert {one.comment for one in found.disliked} == {"too long", ""}
    whole = _report(register, days=None)
    assert (whole.whole.likes, whole.before) == (87, None)


def test_it_tells_what_training_changed(register: Versions, say: Say) -> None:
    say(3, 1, version="my-twin:a", learned_by="my-twin:b")
    promoted = [one for one in _report(register).trained if one.event.event == "promoted"]
    assert [one.event.version for one in promoted] == ["my-twin:a", "my-twin:b"]
    assert promoted[0].changes == ()
    assert promoted[1].learned == 4
    assert {change.what: (change.one, change.other) for change in promoted[1].changes} == {
        "method": ("sft", "dpo"),
        "parent": ("", "my-twin:a"),
        "voice": ("0.61", "0.72"),
        "posts seen": ("1", "2"),
        "posts only there": ("", "b.md"),
    }
    told = report_pages.markdown(_report(register))
    assert "    - voice: 0.61 → 0.72" in told
    assert told.count("learned from 4 judgements") == 2  # where it was made, and where it took over
    register.rollback("my-twin", "worse")
    assert [one.changes for one in _report(register).trained if one.event.event == "rolled back"] == [()]


def test_few_judgements_under_the_target_are_said_to_be_few(register: Versions, say: Say) -> None:
    say(2, 1)
    found = _report(register)
    assert found.under
    assert not found.beyond_chance
    assert "may be chance" in report_pages.verdict(found)
    say(20, 20)
    assert _report(register).beyond_chance
    assert "chance" not in report_pages.verdict(_report(register))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_runs_nothing_and_asks_for_nothing(register: Versions, say: Say) -> None:
    say(1, 2, subject="<b>bold</b>", comment=NASTY.replace("\ud800", ""), edited_text="Better.")
    page = _Tags()
    page.feed(report_pages.html(_report(register)))
    assert not {"script", "b", "a", "img", "link", "iframe"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name in ("src", "href") or name.startswith("on")]
    assert '<script>alert("x")</script>' in page.text, "it is shown as it was written"
    assert "\x1b" not in page.text
    assert "<b>bold</b>" in page.text
    assert page.tags.count("svg") >= 3


def test_markdown_leaves_what_was_written_as_text(register: Versions, say: Say) -> None:
    import markdown

    say(1, 1, subject="a|b *c*", comment=NASTY.replace("\ud800", ""))
    page = _Tags()
    page.feed(markdown.markdown(report_pages.markdown(_report(register)), extensions=["tables"]))
    assert not {"script", "em", "a", "code"} & set(page.tags)
    assert "no heading" in page.text
    assert page.tags.count("h1") == 1
    assert "a|b *c*" in page.text


def test_nobody_said_anything(register: Versions) -> None:
    found = _report(register)
    assert not found.under
    assert "Nobody liked or disliked anything" in report_pages.markdown(found)
    assert "nobody liked or disliked anything" in report_pages.html(found).lower()


# --- the command


def _command(*arguments: str) -> int:
    return main(["feedback", "report", *arguments])


def test_the_command_writes_every_format(say: Say, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(9, 1)
    assert _command("--weekly", "--model", "my-twin") == 0
    assert "# my-twin: how it was liked" in capsys.readouterr().out
    assert _command("--weekly", "--model", "my-twin", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["whole"]["likes"] == 9
    assert _command("--model", "my-twin", "--format", "html", "--output", str(tmp_path / "week.html")) == 0
    assert (tmp_path / "week.html").read_text("utf-8").startswith("<!doctype html>")
    assert capsys.readouterr().out == ""


def test_check_and_alert_tell_when_the_like_rate_is_under_its_target(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert = tmp_path / "alerts" / "my-twin.txt"
    told = ("--weekly", "--model", "my-twin", "--check", "--alert", str(alert))
    assert _command(*told) == 0, "nobody said anything"
    assert not alert.exists()
    say(8, 2)
    assert _command(*told) == 1
    assert "under its target of 85%" in alert.read_text("utf-8")
    assert _command(*told[:-3]) == 0, "without --check the report itself is no failure"
    monkeypatch.setenv("BLOGTWIN_FEEDBACK_LIKE_TARGET", "0.75")
    assert _command(*told) == 0
    assert not alert.exists(), "it is removed when the rate is above again"
