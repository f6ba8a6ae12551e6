"""A person's way through the page, in a real browser, with a real twin: from a first visit to a text that is approved."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from blogtwin.runtimes.answer import Answer
from page_visits import Visits
from server_twins import TWIN, Served, serving, settings, workshop

YES = {"blogtwin.consent": "yes"}
EVERYTHING = """prompt notes-toggle attach style-toggle mode model go theme help
    good bad edit retry copy save approve comment kind skip afresh"""
# What has the focus, and whether it can be seen; a choice among several shows it on its label, the prompt on its sheet.
FOCUSED = """() => {
    const at = document.activeElement;
    const shown = at === document.body || at.matches('[type=radio], #prompt') || getComputedStyle(at).outlineStyle !== 'none';
    return [at.id || at.dataset.do || at.name || at.className, shown];
}"""
# Escape as soon as there is a word: from here it may come when so small a twin has ended.
STOP_AT_ONCE = """() => new MutationObserver((_, watching) => {
    const draft = document.querySelector(".draft");
    if (!draft?.querySelector(".prose")?.textContent.trim()) return;
    watching.disconnect();
    window.busy = draft.getAttribute("aria-busy");
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape", bubbles: true}));
}).observe(document.body, {childList: true, subtree: true, characterData: true})"""
HOSTILE = (
    "# <img src=x onerror='window.ran=1'>\n\n<script>window.ran = 1</script>\n\n[here](javascript:window.ran=1) "
    "![a cat](http://example.org/cat.png) [web](https://example.org/) **bold <b>b</b>** `<i>`\n\n"
    "> quoted\n\n1. one\n   - deep\n2. two\n\n```\n<svg onload=window.ran=1>\n```\n\n| a | b |\n|---|---|\n| 1 | <u>2</u> |\n"
)


@pytest.fixture(scope="module")
def served(tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A twin deployed as an adapter beside its base, so that its voice can be weakened."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOGTWIN_HOME", str(folder / "home"))
        patch.chdir(folder)
        with serving(settings(), workshop(tiny_adapter, folder, mode="adapter")) as there:
            yield there


@pytest.fixture
def visits(browser: Any, served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visits]:
    monkeypatch.setenv("BLOGTWIN_HOME", str(served.app.state.workspace.posts.parent.parent / "home"))
    made = Visits(browser, served.url)
    yield made
    made.end()


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that takes its time over each word; where so small a twin ends early, it has a few more to say."""
    plain = Answer.__next__
    added: Counter[Answer] = Counter()

    def slow(answer: Answer) -> str:
        time.sleep(0.05)
        try:
            return plain(answer)
        except StopIteration:
            added[answer] += 1
            if answer._connection.is_cut or added[answer] > 100:
                raise
            return " and on"

    monkeypatch.setattr(Answer, "__next__", slow)


def ask(page: Any, prompt: str = "tides", length: str = "80") -> None:
    """A short new post, by the keyboard."""
    page.locator("#style-toggle").click()
    page.locator("#length").select_option(length)
    page.locator("#style-toggle").click()
    page.locator("#prompt").fill(prompt)
    page.keyboard.press("Control+Enter")


def written(page: Any) -> None:
    """Until nothing is being written any more."""
    page.locator("#go").wait_for()


def words(prose: Any, least: int) -> None:
    """Until so many characters have come."""
    end = time.monotonic() + 60
    while len(prose.inner_text().strip()) < least:
        assert time.monotonic() < end, prose.inner_text()
        time.sleep(0.02)


def act(page: Any, name: str) -> Any:
    return page.locator(f".turn:last-child .acts [data-do={name}]")


def row(served: Served, visits: Visits) -> dict[str, Any]:
    """What is on record of the text that was judged last."""
    judged = [path for path, _ in visits.posted if path.startswith("/api/feedback/")][-1]
    rows = served.client.get("/api/feedback", params={"limit": 200}).json()["rows"]
    return dict(next(one for one in rows if one["id"] == judged.rpartition("/")[2]))


def kept(page: Any) -> None:
    page.locator(".turn:last-child .remark .kept", has_text="Kept.").wait_for()


def test_a_first_visit_is_quick_asks_nobody_else_and_suggests_the_authors_own_topics(visits: Visits) -> None:
    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    assert min(visits.open().evaluate(paint) for _ in range(4)) < 1000  # the best one: others want this machine too
    page = visits.open()
    assert "What shall we write?" in page.locator("h1").inner_text()
    ideas = page.locator("#ideas li")
    ideas.first.wait_for()
    assert all(re.search("(?i)tides|bread|mornings", text) for text in ideas.all_inner_texts())
    for landmark in ("banner", "navigation", "main", "form"):
        assert page.get_by_role(landmark).count() == 1, landmark
    assert page.evaluate("document.activeElement.id") == "prompt"
    ideas.first.locator("button").click()
    assert page.locator("#prompt").input_value() == ideas.first.inner_text()
    assert not [path for path, _ in visits.posted]


def test_pages_and_modules_are_small_and_kept_by_the_browser(served: Served) -> None:
    page = served.client.get("/")
    assert "'unsafe" not in page.headers["content-security-policy"]
    names = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert len(names) >= 4
    for name in names:
        answer = served.client.get(name)
        assert "immutable" in answer.headers["cache-control"]
        assert served.client.get(name, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert not re.search(r"<script>|<style|\sstyle=|\son\w+=", page.text)
    for wrong in ("/static/x/../router.py", "/static/x/%2e%2e%2frouter.py", "/static/x/nothing.js"):
        assert served.client.get(wrong).status_code == 404
    assert sum(len(served.client.get(name).content) for name in names) < 60_000


@pytest.mark.usefixtures("unhurried")
def test_a_text_streams_is_stopped_and_asked_for_again(visits: Visits, served: Served) -> None:
    page = visits.open(kept=YES)
    page.evaluate(STOP_AT_ONCE)
    ask(page, length="150")
    prose = page.locator(".draft .prose")
    page.get_by_text("Stopped here.").wait_for()
    assert page.evaluate("window.busy") == "true"
    stopped = prose.inner_text()
    assert stopped.strip()
    page.keyboard.press("r")
    page.get_by_text("Try 2 of 2.").wait_for()
    words(prose, 1)
    page.locator("#stop").click()
    page.get_by_text("Stopped here.").wait_for()
    act(page, "bad").click()
    kept(page)
    told = row(served, visits)
    assert told["rating"] == -1
    assert " ".join(prose.inner_text().split())[:20] in " ".join(told["response"].split())


def test_one_of_three_is_chosen_edited_remarked_on_and_approved(visits: Visits, served: Served) -> None:
    page = visits.open()
    page.locator("#mode").select_option("three")
    ask(page, "bread")
    page.locator(".turn .choose").nth(2).wait_for()
    texts = page.locator(".turn .draft .prose").all_inner_texts()
    assert len(set(texts)) == 3
    page.keyboard.press("2")
    dialog = page.locator("#consent-dialog")
    dialog.wait_for()
    assert not [path for path, _ in visits.posted if path.startswith("/api/feedback")], "asked before anything is kept"
    dialog.get_by_role("button", name="Keep it and learn").click()
    kept(page)
    assert row(served, visits)["chosen"] == 1
    page.keyboard.press("e")
    area = page.locator(".editor textarea")
    draft = area.input_value()
    area.press("Control+Home")
    area.type("Zwischenruf ")
    page.locator(".diff ins", has_text="Zwischenruf").wait_for()
    area.press("Control+End")
    for _ in range(8):
        area.press("Backspace")
    page.locator(".diff del").first.wait_for()
    marked = page.evaluate(
        "['ins', 'span', 'del'].map(tag => [...document.querySelectorAll(`.diff ${tag}`)].map(one => one.textContent).join(''))"
    )
    assert len("".join(marked)) - len(marked[0]) == len(draft)
    edited = area.input_value()
    page.locator(".editor [data-do=approve]").click()
    page.get_by_role("button", name="Approved").wait_for()
    remark = page.get_by_label("A remark on this draft")
    remark.fill("I would never say crumb.")
    remark.press("Enter")
    page.keyboard.press("+")
    page.locator("[data-do=good][aria-pressed=true]").wait_for()
    kept(page)
    page.wait_for_timeout(300)
    told = row(served, visits)
    assert (told["edited_text"], told["approved"], told["rating"]) == (edited, True, 1)
    assert (told["comment"], told["chosen"], told["kind"]) == ("I would never say crumb.", 1, "write")
    page.locator(".others summary").click()
    page.get_by_role("button", name="Choose draft 3").click()
    page.wait_for_timeout(300)
    assert row(served, visits)["chosen"] == 2


def test_without_consent_nothing_is_kept_and_it_is_asked_once(visits: Visits) -> None:
    page = visits.open()
    ask(page)
    written(page)
    act(page, "good").click()
    page.get_by_role("button", name="Do not keep it").click()
    page.locator(".remark .kept", has_text="Not kept.").wait_for()
    act(page, "approve").click()
    page.reload()
    page.locator("body.ready").wait_for()
    act(page, "bad").click()
    assert not page.locator("#consent-dialog").is_visible()
    assert not [path for path, _ in visits.posted if path.startswith("/api/feedback")]


def test_twin_and_base_stand_side_by_side(visits: Visits, served: Served) -> None:
    page = visits.open(kept=YES)
    page.locator("#mode").select_option("compare")
    ask(page)
    page.locator(".turn .choose").nth(1).wait_for()
    assert page.locator(".turn .draft .label").all_inner_texts() == ["The twin", "The base model"]
    boxes = [one.bounding_box() for one in page.locator(".turn .draft").all()]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] < boxes[1]["x"]
    page.keyboard.press("1")
    kept(page)
    told = row(served, visits)
    assert (told["chosen"], [one["version"] == "base" for one in told["drafts"]]) == (0, [False, True])


@pytest.mark.usefixtures("unhurried")
def test_a_reload_in_the_middle_loses_nothing(visits: Visits, served: Served) -> None:
    page = visits.open(kept=YES)
    ask(page, length="150")
    prose = page.locator(".draft .prose")
    words(prose, 20)
    page.locator("#prompt").fill("half a thou")
    page.locator("#notes-toggle").click()
    page.locator("#notes").fill("- a screw")
    page.reload()
    page.locator("body.ready").wait_for()
    page.get_by_text("what had come by then is kept").wait_for()
    came = prose.inner_text()
    assert len(came) > 20
    assert page.locator("#prompt").input_value() == "half a thou"
    assert page.locator("#notes").input_value() == "- a screw"
    assert page.locator("#length").input_value() == "150"
    act(page, "good").click()
    kept(page)
    told = row(served, visits)
    assert told["rating"] == 1
    assert " ".join(came.split())[:20] in " ".join(told["response"].split())


def test_everything_can_be_done_with_the_keyboard_alone(visits: Visits, served: Served) -> None:
    page = visits.open(
        kept=YES | {f"blogtwin.compose.{TWIN}": {"style": {"formality": 0, "warmth": 0, "voice": 1, "length": 80}}}
    )
    keyboard = page.keyboard
    keyboard.type("tides")
    keyboard.press("Control+Enter")
    page.locator(".acts").wait_for()
    written(page)
    keyboard.press("e")
    page.locator(".editor textarea:focus").wait_for()
    keyboard.press("Control+End")
    keyboard.type(" And so on.")
    keyboard.press("Escape")
    page.locator(".draft .prose", has_text="And so on.").wait_for()
    keyboard.press("+")
    page.locator("[data-do=good][aria-pressed=true]").wait_for()
    keyboard.press("a")
    page.get_by_role("button", name="Approved").wait_for()
    keyboard.press("?")
    page.locator("#help-dialog").wait_for()
    assert "Ctrl" in page.locator("#help-dialog").inner_text()
    keyboard.press("Escape")
    keyboard.press("/")
    page.locator("#prompt:focus").wait_for()
    reached = set()
    for _ in range(80):
        keyboard.press("Tab")
        name, seen = page.evaluate(FOCUSED)
        reached.add(name)
        assert seen, f"nobody sees that {name} has the focus"
    assert set(EVERYTHING.split()) <= reached
    page.wait_for_timeout(300)
    told = row(served, visits)
    assert told["edited_text"].endswith("And so on.")
    assert (told["rating"], told["approved"]) == (1, True)
    page.keyboard.press("g")
    keyboard.press("p")
    page.wait_for_url("**/dashboard")


def test_what_is_asked_for_is_what_the_page_says(visits: Visits, tmp_path: Path) -> None:
    page = visits.open()
    notes = tmp_path / "notes.md"
    notes.write_text("It left a screw.", encoding="utf-8")
    page.locator("#file").set_input_files(notes)
    page.locator("#files", has_text="notes.md · 4 words").wait_for()
    page.locator("#notes-toggle").click()
    page.locator("#notes").fill("Ask the harbour master.")
    page.locator("#style-toggle").click()
    for name, keys in (("formality", 2), ("warmth", 1)):
        for _ in range(keys):
            page.locator(f"#{name}").press("ArrowRight")
    page.locator("#voice").press("ArrowLeft")
    assert page.locator("#formality-told").inner_text() == "very formal"
    page.locator("#style-toggle").click()
    ask(page, "tides")
    written(page)
    sent = [json.loads(body) for path, body in visits.posted if path == "/api/generate"]
    assert sent[0]["source"] == "Ask the harbour master.\n\nIt left a screw."
    assert sent[0]["style"] == {"formality": 2, "warmth": 1, "voice": 0.9, "length": 80}
    assert (sent[0]["kind"], sent[0]["options"], sent[0]["model"], sent[0]["twin"]) == ("write", 1, "finetuned", TWIN)
    page.get_by_text("very formal · warmer · 90% of your voice").wait_for()
    page.locator("#prompt").fill("Shorter, please.")
    page.keyboard.press("Control+Enter")
    page.locator(".turn").nth(1).wait_for()
    written(page)
    page.get_by_label("Rewrite").check()
    assert page.locator("#mode").input_value() == "three"
    page.locator("#model").select_option("base")
    page.locator("#style-toggle").click()
    assert page.locator("#voice").is_disabled()
    assert page.locator("#voice-why").inner_text() == "The base model has none of it."
    page.locator("#style-toggle").click()
    page.locator("#prompt").fill("The meeting is at ten.")
    page.keyboard.press("Control+Enter")
    page.locator(".turn").nth(2).locator(".choose").nth(2).wait_for()
    chat, rewrite = [json.loads(body) for path, body in visits.posted if path == "/api/generate"][1:]
    assert [turn["role"] for turn in chat["before"]] == ["user", "assistant"]
    assert (chat["kind"], chat["session"]) == ("chat", sent[0]["session"])
    assert (rewrite["kind"], rewrite["options"], rewrite["model"]) == ("rewrite", 3, "base")
    assert "before" not in rewrite


def test_a_question_that_is_changed_takes_the_place_of_what_followed(visits: Visits) -> None:
    page = visits.open()
    ask(page, "tides")
    written(page)
    page.locator("#prompt").fill("And then?")
    page.keyboard.press("Control+Enter")
    page.locator(".turn").nth(1).wait_for()
    written(page)
    page.get_by_role("button", name="Change").first.click()
    assert page.locator("#prompt").input_value() == "tides"
    page.locator("#prompt").fill("bread")
    page.keyboard.press("Control+Enter")
    page.locator(".asked .prompt", has_text="bread").wait_for()
    written(page)
    assert page.locator(".asked .prompt").all_inner_texts() == ["bread"]
    page.locator("#afresh").click()
    page.locator("#shelf button", has_text="bread").click()
    assert page.locator(".asked .prompt").all_inner_texts() == ["bread"]


def test_two_tabs_on_one_piece_do_not_undo_each_other(visits: Visits) -> None:
    page = visits.open(kept=YES)
    other = page.context.new_page()
    other.goto(visits.url)
    other.locator("body.ready").wait_for()
    ask(page, "tides")
    written(page)
    other.locator(".turn .acts").wait_for()
    other.locator("#prompt").fill("And then?")
    other.keyboard.press("Control+Enter")
    other.locator(".turn").nth(1).wait_for()
    written(other)
    page.locator(".turn").nth(1).locator(".acts").wait_for()
    page.reload()
    page.locator("body.ready").wait_for()
    assert page.locator(".asked .prompt").all_inner_texts() == ["tides", "And then?"]


@pytest.mark.parametrize("form", ["md", "html", "docx"])
def test_a_text_is_saved_as_a_file(visits: Visits, form: str) -> None:
    page = visits.open(kept={f"blogtwin.desk.{TWIN}": desk("# The tide\n\nIt left a **screw**.")})
    with page.expect_download() as download:
        act(page, "save").select_option(form)
    assert download.value.suggested_filename == f"the-tide.{form}"
    content = Path(download.value.path()).read_bytes()
    assert {"md": b"# The tide", "html": b"<strong>screw</strong>", "docx": b"PK"}[form] in content


def test_what_a_model_wrote_is_shown_and_never_run(visits: Visits) -> None:
    page = visits.open(kept={f"blogtwin.desk.{TWIN}": desk(HOSTILE)})
    prose = page.locator(".draft .prose")
    assert page.evaluate("window.ran") is None
    assert prose.locator("img, script, svg, u, i, b, iframe").count() == 0
    assert prose.locator("a").evaluate_all("all => all.map(one => [one.href, one.rel])") == [
        ["https://example.org/", "noopener noreferrer"]
    ]
    text = prose.inner_text()
    for told in ("<script>window.ran = 1</script>", "<img src=x", "a cat", "<svg onload"):
        assert told in text
    assert prose.locator("h2, blockquote, ol > li, ol > li > ul > li, pre, table td, strong, code").count() >= 9


def test_a_server_that_went_away_is_told_of_and_nothing_is_lost(visits: Visits) -> None:
    page = visits.open(kept={f"blogtwin.desk.{TWIN}": desk("Six o'clock.")})
    page.route("**/api/generate", lambda route: route.abort())
    page.locator("#prompt").fill("And then?")
    page.keyboard.press("Control+Enter")
    fault = page.locator(".turn:last-child > .fault")
    fault.wait_for()
    assert "The server does not answer." in fault.inner_text()
    assert fault.locator("code").inner_text() == "blogtwin serve"
    assert page.locator(".draft .prose").first.inner_text() == "Six o'clock."
    page.unroute("**/api/generate")
    act(page, "retry").click()
    page.get_by_text("Try 2 of 2.").wait_for()
    written(page)
    assert not fault.is_visible()
    visits.said = [one for one in visits.said if "net::ERR_FAILED" not in one]


def test_the_chosen_theme_holds_from_the_first_paint_on(visits: Visits) -> None:
    page = visits.open(scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    button = page.locator("#theme")
    button.click()
    assert page.evaluate(paper) == light
    button.click()
    dark = page.evaluate(paper)
    assert dark != light
    page.reload()
    assert page.evaluate(paper) == dark
    button.click()
    assert page.evaluate(paper) == light


def desk(text: str, **more: Any) -> dict[str, Any]:
    """A piece with one text, as the browser keeps it."""
    one = {
        "request": None,
        "version": "v",
        "state": "done",
        "chosen": None,
        "edited": None,
        "editing": False,
        "rating": None,
    }
    one |= {"comment": "", "approved": False, "fault": None, "told": "", "drafts": [{"text": text, "by": None}]} | more
    style = {"formality": 0, "warmth": 0, "voice": 1, "length": None}
    ask = {
        "prompt": "tides",
        "kind": "write",
        "mode": "one",
        "model": "finetuned",
        "style": style,
        "notes": "",
        "files": [],
    }
    return {"id": "d", "begun": 0, "turns": [{"id": "t", "ask": ask, "tries": [one], "at": 0}]}


def test_only_this_server_answers_the_page(served: Served) -> None:
    for path in ("/", "/quiz", "/dashboard"):
        assert served.client.get(path, headers={"Host": "evil.example"}).status_code == 421
        answer = httpx.get(served.url + path, trust_env=False)
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
