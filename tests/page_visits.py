"""Visits to the page in a real Chromium, for the tests of the page: what it asks for and what it complains of is written down."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

PATIENCE = 20_000  # milliseconds: a busy machine is no fault of the page


@contextmanager
def chromium() -> Iterator[Any]:
    """A real browser, or the reason why there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: uv sync --group dev")
    with playwright.sync_playwright() as engine:
        found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        if found is None and not Path(engine.chromium.executable_path).is_file():
            pytest.skip("no Chromium here: apt-get install chromium, or playwright install chromium")
        browser = engine.chromium.launch(executable_path=found, timeout=300_000)
        yield browser
        browser.close()


@dataclass
class Visits:
    """Opens pages of `url`. asked: addresses; said: what the console showed; posted: (path, body) of what was sent."""

    browser: Any
    url: str
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    posted: list[tuple[str, str]] = field(default_factory=list)
    contexts: list[Any] = field(default_factory=list)

    def open(self, path: str = "/", scheme: str = "light", width: int = 1280, **more: Any) -> Any:
        """A browser that was never here, at the page; ready when this returns. kept: its local storage."""
        kept = more.pop("kept", {})
        context = self.browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, **more)
        context.set_default_timeout(PATIENCE)
        self.contexts.append(context)
        if kept:
            context.add_init_script(
                f"for (const [name, value] of Object.entries({json.dumps(kept)}))"
                " if (localStorage.getItem(name) === null) localStorage.setItem(name, JSON.stringify(value));"
            )
        page = context.new_page()
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", self._note)
        page.goto(self.url + path)
        page.locator("body.ready").wait_for()
        return page

    def _note(self, request: Any) -> None:
        self.asked.append(request.url)
        if request.method == "POST":
            self.posted.append((urlsplit(request.url).path, request.post_data or ""))

    def end(self) -> None:
        """Nothing was asked of anybody else, and nobody complained."""
        for context in self.contexts:
            context.close()
        own = urlsplit(self.url).netloc
        assert [
            one for one in self.asked if urlsplit(one).netloc != own and not one.startswith(("blob:", "data:"))
        ] == []
        assert self.said == [], self.said


# Of every text that is shown: how it stands out from what is behind it (WCAG 2.2, relative luminance and contrast ratio).
CONTRAST = """() => {
    const parse = colour => {
        const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
        return colour.startsWith('color(') ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
    };
    const over = (top, under) => [0, 1, 2].map(at => top[at] * top[3] + under[at] * (1 - top[3])).concat(1);
    const behind = node => {
        const layers = [];
        for (let at = node; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
        return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
    };
    const channel = part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const light = colour => {
        const [r, g, b] = colour.slice(0, 3).map(channel);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (one, other) => {
        const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        const told = walker.currentNode.textContent.trim();
        if (!told || !node.checkVisibility() || node.closest('.sr, .skip, template, script, option, :disabled')) continue;
        const style = getComputedStyle(node);
        const drawn = node.namespaceURI.endsWith('svg') ? style.fill : style.color;
        const ground = behind(node);
        found.push([ratio(over(parse(drawn), ground), ground), told.slice(0, 60)]);
    }
    return found;
}"""

# What reaches beyond the sides of the window, but for what scrolls by itself.
OUTSIDE = """width => [...document.querySelectorAll('body *')].filter(one => {
    const box = one.getBoundingClientRect();
    const shown = box.width > 1 && one.checkVisibility() && !one.closest('.scroll, pre, .sr, .skip');
    return shown && (box.right > width + 0.5 || box.left < -0.5);
}).map(one => one.outerHTML.slice(0, 120))"""
