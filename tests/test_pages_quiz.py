"""The quiz on the page, with a real twin: blind, by the keyboard, resumed after a reload, with its interval at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blogtwin import jsonl
from blogtwin.evaluation.quiz import Choice
from blogtwin.records import Example
from conftest import EXAMPLES
from page_visits import Visits
from server_twins import Served, serving, settings, workshop

WRITERS = ("author", "twin", "base")


@pytest.fixture(scope="module")
def served(tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A twin with three held-out posts."""
    folder = tmp_path_factory.mktemp("quiz-page")
    posts = [path.read_text("utf-8") for path in sorted(EXAMPLES.glob("*.md"))[:3]]
    held_out = [
        Example(
            id=f"{place:016x}",
            post_id=f"{place:016x}",
            kind="topic",
            instruction=f"Write a post, number {place}.",
            input="",
            output=post,
        )
        for place, post in enumerate(posts)
    ]
    jsonl.write(folder / "data" / "validation.jsonl", held_out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOGTWIN_HOME", str(folder / "home"))
        patch.chdir(folder)
        here = workshop(tiny_adapter, folder, mode="adapter")
        here = replace(here, validation=folder / here.validation, report=folder / here.report)
        with serving(settings(evaluation={"samples": 3, "max_tokens": 250}), here) as there:
            yield there


@pytest.fixture
def visits(browser: Any, served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visits]:
    monkeypatch.setenv("BLOGTWIN_HOME", str(served.app.state.workspace.report.parent.parent / "home"))
    made = Visits(browser, served.url)
    yield made
    made.end()


def choices(served: Served, reader: str) -> list[Choice]:
    path = served.app.state.workspace.report.with_name("quiz.jsonl")
    return [one for one in jsonl.read(path, Choice) if one.reader == reader] if path.is_file() else []


def begin(page: Any, reader: str) -> None:
    page.locator("#reader").fill(reader)
    page.keyboard.press("Enter")
    page.locator("#round").wait_for()


def answer(page: Any, key: str) -> None:
    """Read for as long as nobody slips, choose, and be asked the next one or told the result."""
    counter, status = page.locator("#counter").inner_text(), page.locator("#status")
    page.wait_for_timeout(800)
    page.keyboard.press(key)
    for _ in range(100):
        if page.locator("#result").is_visible() or page.locator("#counter").inner_text() != counter:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"nothing followed on {key}: {status.inner_text()}")


def test_it_is_blind_goes_on_after_a_reload_and_ends_with_its_interval(visits: Visits, served: Served) -> None:
    page = visits.open("/quiz")
    begin(page, "Ada")
    assert "the author" in page.locator("#question").inner_text()
    total = int(page.locator("#counter").inner_text().split()[-1])
    assert total >= 3
    for told in WRITERS:
        assert told not in page.locator("#passages").inner_html()
    answer(page, "1")
    page.reload()
    page.locator("body.ready").wait_for()
    begin(page, "Ada")
    assert page.locator("#counter").inner_text() == f"2 of {total}"
    answer(page, "2")
    answer(page, "s")
    for _ in range(total - 3):
        answer(page, "1")
    page.locator("#result").wait_for()
    kept = choices(served, "Ada")
    assert [one.chosen and one.shown.index(one.chosen) for one in kept] == [0, 1, None] + [0] * (total - 3)
    assert len({one.round for one in kept}) == total
    assert all(one.seconds >= 0.7 for one in kept)
    sentences = page.locator(".finding p").all_inner_texts()
    assert sentences
    assert all("between" in one and one.startswith("Ada took") for one in sentences)
    assert page.locator(".interval-chart .range").count() == len(sentences)


def test_a_choice_is_told_about_only_when_it_was_made(visits: Visits, served: Served) -> None:
    page = visits.open("/quiz")
    page.locator("#reveal").check()
    page.get_by_label("Three").check()
    begin(page, "Grace")
    assert page.locator(".passage").count() == 3
    page.wait_for_timeout(800)
    page.keyboard.press("3")
    page.locator(".passage[data-writer]").first.wait_for()
    (one,) = choices(served, "Grace")
    assert page.locator(".passage").evaluate_all("all => all.map(one => one.dataset.writer)") == list(one.shown)
    assert one.revealed
    assert "whom you chose" in page.locator(".passage").nth(2).inner_text()


def test_what_the_api_tells_before_a_choice_names_nobody(served: Served, visits: Visits) -> None:
    told = served.client.get("/api/quiz", params={"reader": "nobody-yet"}).text
    sitting = json.loads(told.strip().rpartition("data: ")[2])
    assert all(set(one) == {"id", "prompt", "texts"} for one in sitting["rounds"])
    assert sitting["summary"] is None or "shown" not in sitting["summary"]
    first = sitting["rounds"][0]
    for _ in range(2):  # saying it twice changes nothing
        answer = served.client.post(f"/api/quiz/{first['id']}", json={"place": 1, "seconds": 3, "reader": "nobody-yet"})
        assert answer.status_code == 200
        assert answer.json()["writers"] is None
    assert len(choices(served, "nobody-yet")) == 1
    unknown = served.client.post("/api/quiz/0000000000000000", json={"place": 1})
    assert (unknown.status_code, unknown.json()["hint"]) == (
        404,
        "load the page again: the quiz goes on where it stopped",
    )
    visits.open("/quiz")
