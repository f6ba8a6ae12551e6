"""Who may ask the server, and what nobody may: names, sites, tokens, sizes, limits; over HTTP."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from blogtwin.cli.app import main
from blogtwin.errors import UsageError
from blogtwin.server import listening
from blogtwin.server.app import create_app
from blogtwin.server.limits import Limits, TooMany
from blogtwin.workspace import Workspace
from server_twins import Served, serving, settings

TOKEN = "a-token-that-nobody-guesses"


@contextmanager
def application(**server: Any) -> Iterator[httpx.Client]:
    chosen = settings(server=server)
    with serving(chosen, Workspace.here(chosen)) as there:
        yield there.client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """No twin is deployed here: nothing of what is tested gets as far as that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("work"))
        patch.setenv("BLOGTWIN_HOME", str(tmp_path_factory.mktemp("home")))
        with application(max_request_kb=16) as made:
            yield made


@pytest.fixture
def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """As if it listened where others can reach it."""
    monkeypatch.chdir(tmp_path)
    with application(host="192.0.2.7", token=TOKEN) as made:
        yield made


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "evil.example:8000", "", "[", "a b"])
def test_a_name_that_was_pointed_here_is_refused(client: httpx.Client, host: str) -> None:
    answer = client.get("/api/twins", headers={"Host": host})
    assert answer.status_code == 421
    assert "server.names" in answer.json()["hint"]


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST", "192.168.1.4"])
def test_this_machines_names_and_addresses_are_served(client: httpx.Client, host: str) -> None:
    assert client.get("/api/twins", headers={"Host": host}).status_code == 200


def test_a_name_of_the_settings_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with application(names=("blog.home",)) as client:
        assert client.get("/api/twins", headers={"Host": "blog.home:8000"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_what_another_site_posts_is_refused(client: httpx.Client, headers: dict[str, str]) -> None:
    for path in ("/api/generate", "/api/feedback/x", "/api/train", "/api/reload", "/v1/chat/completions"):
        assert client.post(path, json={}, headers=headers).status_code == 403
    assert client.delete("/api/jobs/x", headers=headers).status_code == 403


def test_a_form_of_another_site_that_hides_where_it_comes_from_is_not_read_as_json(client: httpx.Client) -> None:
    answer = client.post("/api/feedback/x", content='{"rating": 1}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422


def test_our_own_page_may_post(client: httpx.Client) -> None:
    headers = {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/feedback/x", json={"rating": 1}, headers=headers).status_code == 404


def test_what_is_too_large_is_refused_before_it_is_read(client: httpx.Client) -> None:
    body = b'{"prompt": "' + b"x" * 20_000 + b'"}'
    assert client.post("/api/generate", content=body, headers={"Content-Type": "application/json"}).status_code == 413

    def parts() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 1000

    unsaid = client.post("/api/generate", content=parts(), headers={"Content-Type": "application/json"})
    assert unsaid.status_code == 413
    assert unsaid.json()["hint"] or unsaid.json()["error"]


@pytest.mark.parametrize("body", [b"{", b"[" * 16_000, b'{"prompt": 1e999}', b"\xff\xfe", b"null", b'"x"'])
def test_what_is_no_request_is_said_to_be_none(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/api/generate", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert set(answer.json()) == {"error", "hint"}


def test_nothing_on_the_page_may_come_from_elsewhere_or_run_inline(client: httpx.Client) -> None:
    for path in ("/", "/api/twins", "/nothing"):
        headers = client.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_the_api_is_described_on_a_page_that_fetches_nothing(client: httpx.Client) -> None:
    page = client.get("/docs").text
    schema = client.get("/openapi.json").json()
    assert all(f"{method.upper()} {path}" in page for path, one in schema["paths"].items() for method in one)
    assert "What the tide left behind" in page  # an example
    assert not re.search(r"<script|<link|<img|src=|style=", page)
    assert client.get("/redoc").status_code == 404


def test_without_the_token_others_get_nothing(guarded: httpx.Client) -> None:
    for path in ("/", "/api/twins", "/openapi.json", "/health", "/static/x/y", "/?token=wrong", "/v1/models"):
        answer = guarded.get(path)
        assert answer.status_code == 401, path
        assert TOKEN not in answer.text
    wrong = guarded.get("/api/twins", headers={"Authorization": f"Bearer {TOKEN}x"})
    assert wrong.status_code == 401
    assert guarded.get("/api/twins", headers={"Cookie": f"blogtwin={TOKEN}"}).status_code == 401
    assert guarded.get("/api/twins", headers={"Authorization": "Bearer é".encode()}).status_code == 401


def test_the_token_opens_as_a_header_and_once_as_an_address(guarded: httpx.Client) -> None:
    assert guarded.get("/api/twins", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    answer = guarded.get(f"/dashboard?token={TOKEN}&twin=my-twin")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard?twin=my-twin")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert TOKEN not in cookie
    assert guarded.get("/api/twins").status_code == 200  # by the cookie
    guarded.cookies.clear()
    away = guarded.get(f"{str(guarded.base_url).rstrip('/')}//evil.example/?token={TOKEN}")
    assert away.headers["location"] == "/evil.example/"  # and not //evil.example, which is another site


BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"}


def test_a_browser_without_the_token_is_told_how_to_get_in_and_a_client_in_json(guarded: httpx.Client) -> None:
    told = guarded.get('/dashboard/"><script>', headers=BROWSER)
    assert (told.status_code, told.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "?token=…" in told.text
    assert "BLOGTWIN_SERVER_TOKEN" in told.text
    assert not re.search(r"<script|<link|<img|<style|src=|style=|onerror|http", told.text), "nothing the policy forbids"
    assert TOKEN not in told.text
    assert "wrong" in guarded.get("/?token=nonsense", headers=BROWSER).text
    for headers in ({"Accept": "*/*"}, {"Accept": "application/json"}, {}):
        assert set(guarded.get("/api/twins", headers=headers).json()) == {"error", "hint"}
    assert set(guarded.post("/api/generate", headers=BROWSER, json={}).json()) == {"error", "hint"}


def test_the_token_can_be_given_on_that_page(guarded: httpx.Client) -> None:
    from page_visits import chromium

    with chromium() as browser:
        page = browser.new_page()
        problems: list[str] = []
        page.on("console", lambda said: problems.append(said.text) if "Content Security" in said.text else None)
        page.goto(f"{str(guarded.base_url).rstrip('/')}/dashboard")
        page.fill("#token", "not-it")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=This token is wrong")
        page.fill("#token", TOKEN)
        page.click("button")
        page.wait_for_url(re.compile(r"/dashboard$"))
        assert "Blogtwin" in page.title()
        assert page.locator("#token").count() == 0
        assert [one["name"] for one in page.context.cookies()] == ["blogtwin"]
        assert problems == []
        page.context.close()


def test_a_page_that_others_can_reach_is_never_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = settings(server={"host": "0.0.0.0"})
    with pytest.raises(UsageError, match="no token") as told:
        create_app(chosen, Workspace.here(chosen))
    assert told.value.hint


def test_more_texts_than_are_allowed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = {"prompt": "tides", "options": 2}
    with application(per_minute=3) as client:
        assert client.post("/api/generate", json=asked).status_code == 404  # nothing is deployed
        answer = client.post("/api/generate", json=asked)
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert client.get("/api/twins").status_code == 200


def test_a_limit_fills_up_evenly_and_each_client_has_its_own() -> None:
    now = 0.0
    limits = Limits(6, lambda: now)
    limits.take("192.0.2.1", 5)
    limits.take("192.0.2.2", 5)
    with pytest.raises(TooMany) as told:
        limits.take("192.0.2.1", 3)
    assert told.value.wait == pytest.approx(20)
    now = 20.0
    limits.take("192.0.2.1", 3)
    limits.take("2001:db8::1", 6)
    with pytest.raises(TooMany):
        limits.take("2001:db8::2", 1)  # the same network
    for number in range(10_000):
        limits.take(f"198.51.{number // 250}.{number % 250}", 1)
    assert len(limits._left) < 5000
    Limits(1).take("192.0.2.1", 5)  # more than a minute's worth at once is allowed when nothing was taken before


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.chdir(tmp_path)
    chosen = settings(server={"token": TOKEN})
    with serving(chosen, Workspace.here(chosen)) as there:
        yield there


def test_the_token_is_never_logged(public: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with httpx.Client(base_url=public.url, trust_env=False) as client:
        for path in (f"/?token={TOKEN}", "/api/twins", f"/nothing?token={TOKEN}"):
            client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not any(TOKEN in message for message in ours)


def test_serve_makes_a_token_where_others_can_reach_it_and_tells_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tokens: list[str] = []
    bind = listening.bind

    def run(app: FastAPI, taken: socket.socket, ready: Callable[[], None]) -> None:
        tokens.append(app.state.settings.server.token)
        ready()

    monkeypatch.setattr(listening, "bind", lambda host, port: bind("127.0.0.1", port))  # no test is open to others
    monkeypatch.setattr(listening, "run", run)
    assert main(["serve", "--host", "192.0.2.7", "--port", "0"]) == 0
    assert main(["serve", "--host", "192.0.2.7", "--port", "0"]) == 0
    told = capsys.readouterr()
    assert len(set(tokens)) == 2  # a new one each time
    for token in tokens:
        assert len(token) >= 32
        assert told.out.count(f"/?token={token}") == 1
        assert token not in told.err
    assert main(["serve", "--port", "0"]) == 0
    assert tokens[-1] is None
    assert "token" not in capsys.readouterr().out
