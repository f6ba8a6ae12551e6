"""eval_report.html in a real browser: it asks nobody for anything, runs nothing, can be read by everybody on every screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from blogtwin.evaluation.charts import Row, Tick, marks, nice
from blogtwin.evaluation.report import Report
from blogtwin.evaluation.report_html import marked, report_html
from blogtwin.evaluation.report_page import wording
from blogtwin.evaluation.report_page.advice import advice
from reports import bare, invented, measured

HOSTILE = (
    "<script>window.ran = 1</script><img src=http://example.org/x.png onerror='window.ran = 1'>"
    "</div></details></section><style>* { display: none }</style><a href='javascript:window.ran=1'>here</a>"
    "{{ 7 * 191 }} {% raw %} &lt;b&gt; <svg onload=window.ran=1> \x00\x1b\ud800 \u202e backwards"
)
CODE = "```python\n" + "a_very_long_name_without_any_space = " * 20 + "\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |"
ARABIC = "كتبت هذا النص في الصباح الباكر، ثم خرجت إلى السوق.\n\nThen one in English.\n\nثم عدت."
JAPANESE = "朝早く起きて、机に向かった。まだ誰も起きていない。" * 12


def hostile(report: Report) -> Report:
    """Every text that a model, a post or a prompt can put into a report is an attack."""
    passages = [one.model_copy(update={"text": HOSTILE, "source": HOSTILE, "title": HOSTILE, "under": HOSTILE, "verbatim": False})
                for one in report.twin.copying.passages[:4]]  # fmt: skip
    copying = report.twin.copying.model_copy(update={"passages": tuple(passages), "flagged": True})
    told = [one.model_copy(update={"what": HOSTILE, "sentence": HOSTILE}) for one in report.style_diff.over]
    attack = dict.fromkeys(("prompt", "base", "twin", "author", "few_shot"), HOSTILE) | {"shown": (HOSTILE,)}
    samples = [one.model_copy(update=attack) for one in report.sample_comparisons[:2]]
    long = (CODE, ARABIC, JAPANESE, "", "x" * 3000)
    samples += [
        one.model_copy(update={"base": text, "twin": text, "author": text, "few_shot": text})
        for one, text in zip(report.sample_comparisons[2:], long, strict=False)
    ]
    return report.model_copy(
        update={
            "model": "twin<script>window.ran=1</script>:latest",
            "base_model": HOSTILE,
            "verdict": report.verdict.model_copy(update={"sentence": HOSTILE, "why": (HOSTILE,)}),
            "twin": report.twin.model_copy(update={"copying": copying}),
            "style_diff": report.style_diff.model_copy(update={"over": tuple(told)}),
            "unlike": tuple(
                one.model_copy(update={"reason": HOSTILE, "answer": place % 3})
                for place, one in enumerate(report.unlike)
            ),
            "sample_comparisons": tuple(samples),
            "remarks": (HOSTILE,),
            "lineage": report.lineage.model_copy(update={"base_model": HOSTILE, "parent": HOSTILE}),
        }
    )


def crowded(report: Report) -> Report:
    """Forty prompts, a voice below 0 with an interval beyond every scale, numbers nobody expects."""
    ends = {"score": -3.2, "low": -9.0, "high": 4.0}
    habits = tuple(
        one.model_copy(update=dict.fromkeys(ends) if place % 2 else ends)
        for place, one in enumerate(report.voice.habits)
    )
    voice = report.voice.model_copy(update={"score": -0.43, "low": -4.1, "high": 3.9, "habits": habits})
    samples = (report.sample_comparisons * 3)[:40]
    return report.model_copy(
        update={
            "voice": voice,
            "sample_comparisons": samples,
            "perplexity_per_word": 3.1e12,
            "perplexity_per_word_base": 2_400_000.0,
            "verdict": report.verdict.model_copy(update={"use": None}),
        }
    )


VARIANTS: dict[str, Callable[[Report], Report]] = {
    "rich": lambda report: report,
    "bare": bare,
    "hostile": hostile,
    "crowded": crowded,
}
every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])


@pytest.fixture(scope="module")
def report() -> Report:
    return measured(invented(12, 15))


@pytest.fixture(scope="module")
def pages(report: Report, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each variant's page as a file."""
    folder = tmp_path_factory.mktemp("pages")
    for name, variant in VARIANTS.items():
        (folder / f"{name}.html").write_text(report_html(variant(report)), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in VARIANTS}


@pytest.fixture
def opened(browser: Any, pages: dict[str, Path]) -> Iterator[Callable[..., Any]]:
    """A variant's page, open. At the end of the test: nothing was asked for but the file, and nobody complained."""
    asked: list[str] = []
    said: list[str] = []
    contexts = []

    def open_page(variant: str, scheme: str = "light", width: int = 1280, **more: Any) -> Any:
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, **more)
        contexts.append(context)
        context.set_default_timeout(300_000)  # a busy machine is no fault of the page
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))

        def route(one: Any) -> None:
            asked.append(one.request.url)
            one.continue_() if one.request.url == pages[variant].as_uri() else one.abort()

        context.route("**/*", route)
        page.goto(pages[variant].as_uri(), wait_until="load")
        return page

    yield open_page
    addresses = {page.as_uri() for page in pages.values()}
    for context in contexts:
        context.close()
    assert contexts
    assert set(asked) <= addresses, "the page asked for something"
    assert said == []


@every_scheme
@every_variant
def test_it_opens_without_a_word_and_fits_a_phone(opened: Any, variant: str, scheme: str) -> None:
    page = opened(variant, scheme, 360, has_touch=True, is_mobile=True)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    outside = page.evaluate(
        """() => [...document.querySelectorAll('body *')].filter(one => {
            const box = one.getBoundingClientRect();
            return box.width > 1 && !one.closest('thead, desc, title') && (box.right > 360.5 || box.left < -0.5);
        }).map(one => one.outerHTML.slice(0, 120))"""
    )
    assert outside == []


def test_what_a_model_said_stays_text(opened: Any, pages: dict[str, Path]) -> None:
    page = opened("hostile")
    assert page.evaluate("window.ran") is None
    assert page.evaluate("document.querySelectorAll('script, img, iframe, object, embed, form, base').length") == 0
    assert page.evaluate("[...document.querySelectorAll('*')].flatMap(one => [...one.attributes])"
                         ".filter(one => one.name.startsWith('on')).length") == 0  # fmt: skip
    links = page.evaluate("[...document.querySelectorAll('a')].map(one => one.getAttribute('href'))")
    assert links
    assert all(re.fullmatch(r"#[a-z0-9-]+", one) for one in links)
    shown = page.locator(".sample .twin .text").first.inner_text()
    assert "<script>window.ran = 1</script>" in shown
    assert "{{ 7 * 191 }} {% raw %} &lt;b&gt;" in shown
    assert "\ufffd\ufffd\ufffd" in shown  # what no file can hold is shown to be missing
    text = pages["hostile"].read_text(encoding="utf-8")
    assert "1337" not in text
    assert re.search(r"https?://(?!example\.org)", text) is None


def test_the_page_forbids_itself_scripts_and_requests(opened: Any) -> None:
    page = opened("rich")
    policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert "script" not in policy


CONTRAST = """() => {
    const channel = one => (one /= 255) <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const colour = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
    const behind = one => {
        for (; one; one = one.parentElement) {
            const found = colour(getComputedStyle(one).backgroundColor);
            if (found.length < 4 || found[3] === 1) return found;
        }
        return [255, 255, 255];
    };
    const ratio = (one, other) => {
        const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
        return (high + 0.05) / (low + 0.05);
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const texts = [], drawn = [];
    while (walker.nextNode()) {
        const one = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || one.closest('title, desc')) continue;
        const style = getComputedStyle(one);
        const ink = colour(one.closest('svg') ? style.fill : style.color);
        texts.push([ratio(ink, behind(one)), one.tagName + '.' + (one.className.baseVal ?? one.className)]);
    }
    for (const one of document.querySelectorAll('.mark, .beyond, .bar'))
        drawn.push([ratio(colour(getComputedStyle(one).fill), behind(one)), one.parentElement.outerHTML]);
    return [texts, drawn];
}"""


@every_scheme
@pytest.mark.parametrize("variant", ["rich", "crowded", "hostile"])
def test_every_text_has_contrast_enough(opened: Any, variant: str, scheme: str) -> None:
    """WCAG 2.2: 1.4.3, AA: 4.5 for text; 1.4.11: 3 for what is drawn."""
    texts, drawn = opened(variant, scheme).evaluate(CONTRAST)
    assert len(texts) > 200
    assert len(drawn) > 20
    assert min(texts)[0] >= 4.5, min(texts)
    assert min(drawn)[0] >= 3, min(drawn)


@every_variant
def test_it_can_be_heard_and_used_without_a_mouse(opened: Any, variant: str) -> None:
    page = opened(variant)
    assert page.locator("html").get_attribute("lang") == "en"
    levels = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map(one => Number(one.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    charts = page.evaluate(
        """[...document.querySelectorAll('svg:not(svg svg)')].map(one => one.getAttribute('aria-hidden') ? null
           : [one.getAttribute('role'), one.querySelector('title').textContent, one.querySelector('desc').textContent,
              one.getAttribute('aria-labelledby').split(' ').every(id => document.getElementById(id).textContent.trim())])"""
    )
    assert [one for one in charts if one and not (one[0] == "img" and one[1] and one[2] and one[3])] == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    assert page.evaluate("[...document.querySelectorAll('a')].every(one => document.getElementById(one.hash.slice(1)))")
    assert page.evaluate("[...document.querySelectorAll('th')].every(one => one.scope)")
    assert page.evaluate("[...document.querySelectorAll('[aria-labelledby]')].every(one => one.getAttribute('aria-labelledby')"
                         ".split(' ').every(id => document.getElementById(id)))")  # fmt: skip


@every_variant
def test_what_is_missing_leaves_no_empty_box(opened: Any, variant: str) -> None:
    page = opened(variant)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    empty = page.evaluate(
        """[...document.querySelectorAll('section, ul, ol, li, dl, dd, dt, table, tbody, figure, p, details, summary, '
            + 'h2, h3, h4, blockquote, svg text')]
           .filter(one => !one.textContent.trim()).map(one => one.outerHTML)"""
    )
    assert empty == []
    assert not re.search(r"\b(None|nan|inf|undefined)\b", page.inner_text("body"))


def test_writing_from_right_to_left_and_without_spaces_reads_as_it_should(opened: Any) -> None:
    page = opened("hostile", width=360)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    arabic = page.locator(".sample .twin .text", has_text="كتبت").first
    assert arabic.evaluate("one => getComputedStyle(one).direction") == "rtl"
    assert arabic.evaluate("one => getComputedStyle(one).unicodeBidi") == "plaintext"  # each paragraph by itself
    japanese = page.locator(".sample .twin .text", has_text="朝早く").first
    assert japanese.evaluate("one => one.clientWidth >= one.scrollWidth && one.clientHeight > 100")


def test_a_text_that_turns_its_direction_turns_nothing_beside_it(opened: Any) -> None:
    page = opened("hostile")
    item = page.locator("section[aria-labelledby=differences] li", has=page.locator("a")).first
    places = item.evaluate(
        """one => [...one.querySelectorAll('a')].map(link => link.getBoundingClientRect()).map(box => [box.top, box.left])"""
    )
    assert len(places) > 1
    assert places == sorted(places)


def test_paper_gets_what_is_folded_too(opened: Any) -> None:
    page = opened("rich")
    last = page.locator(".sample .text").last
    assert not last.is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    assert last.evaluate("one => one.getClientRects().length && one.checkVisibility({contentVisibilityAuto: true})")
    assert (
        page.evaluate("getComputedStyle(document.body).color") == "rgb(29, 28, 26)"
    )  # ink on paper, whatever the screen is


def test_marks_stand_where_their_numbers_are(opened: Any, report: Report) -> None:
    page = opened("rich")
    drawn = page.evaluate(
        """Object.fromEntries([...document.querySelectorAll('[aria-labelledby^=voice-title] > g')].map(one => {
            const mark = one.querySelector('.mark').getBoundingClientRect();
            const line = one.querySelector('.interval')?.getBoundingClientRect();
            return [one.getAttribute('class'), [mark.x + mark.width / 2, line?.left, line?.right]];
        }))"""
    )
    zero, one = drawn["base"][0], drawn["author"][0]

    def number(place: float) -> float:
        return (place - zero) / (one - zero)

    assert number(drawn["twin"][0]) == pytest.approx(report.voice.score, abs=0.01)
    assert number(drawn["twin"][1]) == pytest.approx(report.voice.low, abs=0.01)
    assert number(drawn["twin"][2]) == pytest.approx(report.voice.high, abs=0.01)
    assert report.voice_few_shot is not None
    assert number(drawn["few-shot"][0]) == pytest.approx(report.voice_few_shot.score, abs=0.01)


def test_a_typical_page_is_small_and_always_the_same(report: Report) -> None:
    page = report_html(report)
    assert len(page.encode()) < 200_000
    assert page == report_html(Report.model_validate_json(report.model_dump_json()))
    assert page.index(report.verdict.sentence[1:]) < page.index("What to do") < page.index("Does it sound like you?")
    assert all(post.author is None or post.author[:200] in page for post in report.sample_comparisons)


def test_what_lies_beyond_a_scale_is_an_arrow_at_its_edge() -> None:
    ticks = Tick(0.0, "base"), Tick(1.0, "you")
    drawn = marks(
        "a", "A", [Row("One", "twin", 0.5, "0.50", -7.0, 0.8), Row("Two", "twin", None, "nothing")], ticks, -1, 2
    )
    assert drawn.count('class="beyond"') == 1
    assert drawn.count('class="mark"') == 1
    assert "One: 0.50. Two: nothing." in drawn
    far = marks("a", "A", [Row("One", "twin", 5.0, "5.00", 4.0, 9.0)], ticks, -1, 2)
    assert 'class="mark"' not in far
    assert 'class="beyond"' in far
    assert "<b>" not in marks("a", "<b>", [Row("<b>", "twin", 1.0, "<b>")], [Tick(0, "<b>")], 0, 1)


@pytest.mark.parametrize(
    ("most", "end"), [(0.0, 1.0), (0.312, 0.4), (1.0, 1.0), (515, 600), (99.9, 100), (0.01, 0.01), (1.2, 1.5)]
)
def test_a_scale_ends_at_a_round_number(most: float, end: float) -> None:
    assert nice(most) == pytest.approx(end)


@pytest.mark.parametrize(
    ("low", "high", "answer", "sure"),
    [
        (0.4, 0.8, "still be told from you", "right of 0"),
        (0.4, 1.2, "cannot be told from you", "right of 0"),
        (-0.2, 0.5, "cannot be told whether", "crosses 0"),
        (-0.9, -0.1, "No: it is farther", "left of 0"),
    ],
)
def test_the_words_follow_the_interval_and_not_the_mark(
    report: Report, low: float, high: float, answer: str, sure: str
) -> None:
    voice = report.voice.model_copy(update={"score": 0.6, "low": low, "high": high, "prompts": 5})
    assert answer in wording.voice_answer(voice)
    assert sure in wording.voice_sure(voice)
    assert "so few posts" in wording.voice_sure(voice)


def test_a_difference_that_may_be_chance_is_not_claimed(report: Report) -> None:
    [one] = [one for one in report.verdict.comparisons if (one.measure, one.second) == ("perplexity per word", "base")]
    sure, unsure = (one.model_copy(update={"low": low, "high": high}) for low, high in ((0.8, 0.95), (0.9, 1.1)))
    assert "10% fewer words" in wording.surprise_answer(90, 100, [sure])
    assert "cannot be told" in wording.surprise_answer(90, 100, [unsure])
    assert "50% more words" in wording.surprise_answer(150, 100, [])
    assert "3 times as many words" in wording.surprise_answer(300, 100, [])


def test_where_nothing_is_repeated_there_is_no_chart_of_it(report: Report) -> None:
    none = dict.fromkeys(("ngrams", "low", "high"), 0.0)
    still = {
        side: one.model_copy(
            update={
                "copying": one.copying.model_copy(
                    update={
                        "answers": one.copying.answers.model_copy(update=none),
                        "author": one.copying.author.model_copy(update=none),
                        "passages": (),
                    }
                )
            }
        )
        for side, one in (("twin", report.twin), ("base", report.base), ("few_shot", report.few_shot))
    }
    page = report_html(report.model_copy(update=still))
    assert "Not one run of eight words" in page
    assert "copying-title" not in page
    assert "copying-title" in report_html(report)


def test_warnings_come_before_what_to_write_with(report: Report) -> None:
    copying = report.twin.copying.model_copy(update={"flagged": True})
    privacy = report.twin.privacy.model_copy(update={"originals": {"email": 2}, "hints": ("email h…",)})
    twin = report.twin.model_copy(update={"copying": copying, "privacy": privacy})
    found = advice(report.model_copy(update={"twin": twin}))
    assert [one.section for one in found if one.warning][:2] == ["private", "copying"]
    assert [one.warning for one in found] == sorted((one.warning for one in found), reverse=True)
    assert any("blogtwin write" in one.command for one in found)
    page = report_html(report.model_copy(update={"twin": twin}))
    assert 'id="private"' in page
    assert "so its score is no praise" in page
    assert "so its score is no praise" not in report_html(report)


def test_numbers_have_the_digits_that_can_matter() -> None:
    assert [wording.percent(one) for one in (0, 0.0004, 0.034, 0.31, 0.9996, 1)] == [
        "0%",
        "under 0.1%",
        "3.4%",
        "31%",
        "over 99.9%",
        "100%",
    ]
    assert [wording.many(one) for one in (8.44, 61.83, 1710.2, 2.4e6, 3e12)] == [
        "8.4",
        "62",
        "1,710",
        "2.4 million",
        "over a billion",
    ]
    assert [wording.score(one) for one in (0.616, -0.43, -0.001)] == ["0.62", "−0.43", "0.00"]
    assert wording.sentence("the twin wins") == "The twin wins."
    assert wording.sentence("my-twin:latest wins!") == "my-twin:latest wins!"


def test_repeated_passages_are_marked_once_and_escaped() -> None:
    text = "A <b>bold</b> start, then the same words again, and an end."
    assert marked(text, ["the same words again", "same words"]) == (
        "A &lt;b&gt;bold&lt;/b&gt; start, then <mark>the same words again</mark>, and an end."
    )
    assert marked(text, ["not there", ""]) == "A &lt;b&gt;bold&lt;/b&gt; start, then the same words again, and an end."
