"""The page that shows how it is going, with real feedback and a real training; and every page for every eye, hand and screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blogtwin.service_records import Draft, Feedback
from page_visits import CONTRAST, OUTSIDE, Visits
from server_twins import TWIN, Served, serving, settings, workshop

NOW = datetime.now(UTC)
PROSE = "# The tide\n\nSix o'clock, and *drizzle*.\n\n- a rope\n- a glove\n\n> It gives.\n\n`KEEP DRY`"
every_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])


@pytest.fixture(scope="module")
def served(tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("progress-page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOGTWIN_HOME", str(folder / "home"))
        patch.chdir(folder)
        with serving(settings(), workshop(tiny_adapter, folder, mode="adapter")) as there:
            yield there


@pytest.fixture
def visits(browser: Any, served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visits]:
    folder = served.app.state.workspace.posts.parent.parent
    monkeypatch.setenv("BLOGTWIN_HOME", str(folder / "home"))
    monkeypatch.chdir(folder)
    made = Visits(browser, served.url)
    yield made
    made.end()
    served.app.state.store.forget(twin=TWIN)


def judged(number: int, rating: int | None, **more: Any) -> Feedback:
    """A judgement of `number` days ago."""
    at = NOW - timedelta(days=number)
    told: dict[str, Any] = {
        "subject": "tides",
        "prompt": "What the tide left",
        "response": PROSE,
        "learned_by": "v",
    } | more
    return Feedback(
        id=f"f{number}",
        twin=TWIN,
        kind="write",
        drafts=(Draft(version=f"{TWIN}:v", text=told["response"]),),
        version=f"{TWIN}:v",
        rating=rating,
        created_at=at,
        judged_at=at,
        **told,
    )


def test_before_anything_was_said_it_tells_how_to_begin(visits: Visits) -> None:
    page = visits.open("/dashboard")
    assert "Nothing has been judged yet" in page.locator("#liked-told").inner_text()
    assert page.locator("#train").is_disabled()
    assert "3 more are needed" in page.locator("#train-why").inner_text()
    assert "champion" in page.locator("#versions").inner_text()
    assert not page.locator("#evaluation").is_visible()


def test_rates_stand_with_their_intervals_and_dislikes_can_be_looked_through(visits: Visits, served: Served) -> None:
    rows = [judged(number, 1 if number % 3 else -1, subject="bread" if number % 2 else "tides") for number in range(30)]
    long = judged(30, -1, response="Long. " * 300, comment="<b>No</b>: I never say this.", subject="bread")
    served.app.state.store.add([*rows, long])
    page = visits.open("/dashboard")
    stats = served.client.get("/api/feedback/stats", params={"twin": TWIN}).json()
    told = page.locator("#liked-told").inner_text()
    assert f"{round(stats['like_rate'] * 100)}% of 31" in told
    assert f"between {round(stats['low'] * 100)}% and {round(stats['high'] * 100)}%" in told
    assert 6 <= page.locator("#liked-chart .point").count() <= 10
    assert page.locator("#liked-chart .band").count() == 1
    assert page.locator("#subjects tbody tr td:first-child").all_inner_texts() == ["bread", "tides"]
    assert "between" in page.locator("#subjects .rate-bar").first.get_attribute("aria-label")
    assert page.locator(".dislike").count() == 8
    page.locator("#dislikes-more").click()
    page.locator(".dislike").nth(10).wait_for()
    last = page.locator(".dislike").last
    assert "<b>No</b>: I never say this." in last.inner_text()
    folded = last.locator(".prose").bounding_box()["height"]
    last.get_by_role("button", name="Read it all").click()
    assert last.locator(".prose").bounding_box()["height"] > 2 * folded
    page.locator("#days").select_option("7")
    page.locator("#liked-told", has_text="of 7 rated").wait_for()


def test_what_is_kept_can_be_decided_here(visits: Visits) -> None:
    page = visits.open("/dashboard")
    box = page.locator("#consent")
    assert not box.is_checked()
    box.check()
    page.reload()
    page.locator("body.ready").wait_for()
    assert box.is_checked()


def test_the_last_evaluation_can_be_read_and_runs_nothing(visits: Visits, served: Served) -> None:
    report = served.app.state.workspace.report.with_suffix(".html")
    assert served.client.get("/report").status_code == 404
    report.parent.mkdir(exist_ok=True)
    report.write_text(
        "<style>p { color: red }</style><p>It is</p><script>document.body.append('run')</script>", "utf-8"
    )
    try:
        page = visits.open("/dashboard")
        page.locator("#report").click()
        page.wait_for_url("**/report*")
        assert page.locator("body").inner_text().strip() == "It is"
        assert page.evaluate("getComputedStyle(document.querySelector('p')).color") == "rgb(255, 0, 0)"
        visits.said = [one for one in visits.said if "script" not in one]  # the browser says that it did not run it
        assert served.client.get("/report", params={"twin": "../x"}).status_code == 404
    finally:
        report.unlink()


def test_a_training_is_begun_watched_and_stopped(visits: Visits, served: Served) -> None:
    texts = [f"Six, and {many} drizzles. The tide left a screw." for many in range(40)]
    rows = [
        judged(many, 1, prompt=f"About {many} tides", edited_text=text, learned_by=None, approved=True)
        for many, text in enumerate(texts)
    ]
    served.app.state.store.add(rows)
    page = visits.open("/dashboard")
    assert "40 judgements wait" in page.locator("#training-told").inner_text()
    page.locator("#train").click()
    job = page.locator("#job")
    job.wait_for()
    assert page.locator("#train").is_disabled()
    told = re.compile(r"of \d+ steps · loss \d")
    page.locator("#job-figures").filter(has_text=told).wait_for(timeout=300_000)  # a loss: it learns
    page.locator("#job-curve svg").wait_for(timeout=300_000)
    assert "learns from 40 judgements" in page.locator("#job-log pre").text_content()
    other = visits.open("/dashboard")  # a page that comes later finds it
    other.locator("#job").wait_for()
    page.locator("#job-stop").click()
    runs = page.locator("#runs tbody tr")
    runs.first.wait_for(timeout=120_000)
    job.wait_for(state="hidden")
    assert runs.first.locator(".state").inner_text() == "stopped"
    assert runs.first.locator(".curve").count() == 1
    assert page.locator("#train").is_enabled()
    other.locator("#runs tbody tr").first.wait_for()


# Every page, as somebody who has been here for a while sees it


def piece(texts: list[str], **more: Any) -> dict[str, Any]:
    """As the browser keeps it."""
    one = {
        "request": None,
        "version": "v",
        "state": "done",
        "chosen": None,
        "edited": None,
        "editing": False,
        "rating": 1,
    }
    drafts = [{"text": text, "by": None} for text in texts]
    one |= {"comment": "Mine.", "approved": True, "fault": None, "told": "Kept.", "drafts": drafts} | more
    style = {"formality": 1, "warmth": 0, "voice": 1, "length": 300}
    ask = {
        "prompt": "The tide " * 40,
        "kind": "write",
        "mode": "one",
        "model": "finetuned",
        "style": style,
        "notes": "",
    }
    turn = {
        "id": "t",
        "ask": ask | {"files": [{"name": "a-rather-long-name-of-a-file.md", "text": "x"}]},
        "tries": [one],
        "at": 0,
    }
    return {"id": "d", "begun": 0, "turns": [turn]}


def panels(page: Any) -> None:
    for name in ("style", "notes"):
        page.locator(f"#{name}-toggle").click()


def others(page: Any) -> None:
    page.locator(".others summary").click()


def helped(page: Any) -> None:
    page.locator("#help").click()


def nothing(page: Any) -> None:
    pass


FAULT = {"message": "llama-cpp stopped while it was writing", "hint": "ask again; if it stays so: blogtwin doctor"}
VIEWS: dict[str, tuple[str, dict[str, Any] | None, Callable[[Any], None]]] = {
    "first visit": ("/", None, panels),
    "a text": ("/", piece([PROSE]), nothing),
    "three texts": ("/", piece([PROSE, PROSE + "\n\n" + "x" * 200, PROSE]), nothing),
    "one of three": ("/", piece([PROSE] * 3, chosen=1), others),
    "editor": (
        "/",
        piece([PROSE], editing=True, edited=PROSE.replace("drizzle", "rain").replace("a rope", "")),
        nothing,
    ),
    "a fault": ("/", piece([PROSE], state="failed", fault=FAULT), nothing),
    "help": ("/", None, helped),
    "quiz": ("/quiz", None, nothing),
    "progress": ("/dashboard", None, nothing),
}


@every_scheme
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_can_be_read_on_every_screen(visits: Visits, served: Served, view: str, scheme: str) -> None:
    """WCAG 2.2: 1.4.3, contrast of 4.5; 1.4.10, no scrolling sideways at 360 pixels."""
    path, kept, then = VIEWS[view]
    if path == "/dashboard":
        served.app.state.store.add([judged(number, 1 if number % 3 else -1, comment="No.") for number in range(9)])
    for width in (1280, 360):
        page = visits.open(
            path, scheme, width, kept={f"blogtwin.desk.{TWIN}": kept} if kept else {}, reduced_motion="reduce"
        )
        then(page)
        page.wait_for_timeout(150)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(OUTSIDE, width) == []
        texts = page.evaluate(CONTRAST)
        assert len(texts) > 8
        assert min(texts)[0] >= 4.5, sorted(texts)[:5]


@pytest.mark.parametrize("path", ["/", "/quiz", "/dashboard"])
def test_every_page_has_its_landmarks_and_every_field_its_name(visits: Visits, path: str) -> None:
    page = visits.open(path)
    for landmark in ("banner", "navigation", "main"):
        assert page.get_by_role(landmark).count() == 1
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("h1:visible").count() == 1
    nameless = page.evaluate(
        """[...document.querySelectorAll('button, input, select, textarea, a')].filter(one => one.type !== 'file'
            && !(one.labels?.length || one.getAttribute('aria-label') || one.textContent.trim())).map(one => one.outerHTML)"""
    )
    assert nameless == []
    assert page.evaluate(
        "[...document.querySelectorAll('[aria-labelledby], [aria-describedby], [aria-controls]')].every(one => ["
        "'aria-labelledby', 'aria-describedby', 'aria-controls'].every(name => (one.getAttribute(name) ?? '').split(' ')"
        ".filter(Boolean).every(id => document.getElementById(id))))"
    )
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    assert page.locator("[role=status], [aria-live]").count() >= 1
    page.keyboard.press("Tab") if path != "/" else page.locator(".skip").focus()
    assert page.locator(".skip").count() == 1
