"""Who may ask: the right name, the right site, the token, and no more than can be read. Before anything else sees a request.

Host: a page on another name that an attacker lets point to this machine (DNS rebinding) is refused. Origin: what another site
posts is refused. Token: needed wherever one is set; as `Authorization: Bearer …`, or as a cookie that opening /?token=… sets.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from blogtwin.server import doorway
from blogtwin.server.refusals import refusal

COOKIE = "blogtwin"
_MONTH = 30 * 24 * 3600
_SAFE = {"GET", "HEAD", "OPTIONS"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


def on_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """names: under which browsers may ask, beside localhost and addresses. most: bytes of a request."""

    def __init__(self, app: ASGIApp, names: Iterable[str], token: str | None, most: int) -> None:
        self.app, self.token, self.most = app, token, most
        self.names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = self._refused(scope, headers) or self._unknown(scope, headers)
        guarded = _with_headers(send, scope)
        if answer is not None:
            await answer(scope, receive, guarded)
        else:
            await self.app(scope, self._bounded(receive), guarded)

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        path, host = scope["path"], headers.get("host", "")
        if not self._ours(host):
            hint = "open it as localhost, or add the name to server.names"
            return refusal(path, 421, f"{host[:100]!r} is no name of this server", hint)
        origin = headers.get("origin")
        same = origin is None or urlsplit(origin).netloc.lower() == host.lower()
        foreign = headers.get("sec-fetch-site", "same-origin") in ("cross-site", "same-site")
        if scope["method"] not in _SAFE and (not same or foreign):
            return refusal(path, 403, "another site asked for this", "open the page of blogtwin itself")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.most:
            return refusal(path, 413, self._too_large(), "send less, or raise server.max_request_kb")
        return None

    def _ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self.names:
            return True
        try:  # no other name can be made to point elsewhere than an address does
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _unknown(self, scope: Scope, headers: Headers) -> Response | None:
        if self.token is None:
            return None
        kind, _, sent = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _equal(sent.strip(), self.token):
            return None
        if _equal(_cookie(headers.get("cookie", "")), self._pass()):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in query if name == "token"), "")
        if scope["method"] == "GET" and _equal(given, self.token):
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            away = RedirectResponse(f"{_local(scope['path'])}{'?' + rest if rest else ''}", 303)
            away.set_cookie(
                COOKIE, self._pass(), _MONTH, httponly=True, samesite="lax", secure=scope["scheme"] == "https"
            )
            return away
        if doorway.wanted(scope["method"], headers):
            return doorway.page(_local(scope["path"]), bool(given))
        hint = "open the address that `blogtwin serve` printed, or send Authorization: Bearer …"
        return refusal(scope["path"], 401, "the token is missing or wrong", hint, {"WWW-Authenticate": "Bearer"})

    def _pass(self) -> str:
        """What the cookie holds: it opens the door, and does not tell the token."""
        return hmac.new((self.token or "").encode(), b"cookie", "sha256").hexdigest()

    def _bounded(self, receive: Receive) -> Receive:
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                if read > self.most:  # a body that did not say how long it is
                    raise HTTPException(413, self._too_large())
            return message

        return bounded

    def _too_large(self) -> str:
        return f"a request may have {self.most // 1024} KB"


def _local(path: str) -> str:
    """A path that cannot be read as another host: //evil.example is one."""
    return "/" + path.lstrip("/\\")


def _equal(given: str, right: str) -> bool:
    """In a time that does not tell how much of it was right."""
    return hmac.compare_digest(given.encode(), right.encode())


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _with_headers(send: Send, scope: Scope) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if scope["path"].startswith(("/api/", "/v1/", "/health")):
                headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return wrapped
