"""What a browser is shown that comes without the token: how to get in. In: an address. Out: a page that fetches nothing."""

from __future__ import annotations

from html import escape

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Blogtwin: the token is needed</title>
<h1>{title}</h1>
<p>This page is open to those who have its token. Whoever started it got an address that ends in <code>?token=…</code>:
open that one, once, and this browser is let in for a month.</p>
<form action="{path}" method="get">
<p><label for="token">Or give the token here:</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Open</button></p>
</form>
<p>The token is what <code>server.token</code> in pipeline_config.yaml or <code>BLOGTWIN_SERVER_TOKEN</code> says; where neither
does, <code>blogtwin serve</code> prints a new one each time it starts.</p>
</html>
"""


def wanted(method: str, headers: Headers) -> bool:
    """Whether a person looks at the answer: browsers name text/html where one opens an address, other clients do not."""
    return method == "GET" and "text/html" in headers.get("accept", "").lower()


def page(path: str, tried: bool) -> HTMLResponse:
    """path: of this server, to go on to. tried: whether a token was given, which is wrong."""
    title = "This token is wrong" if tried else "The token is missing"
    content = _PAGE.format(title=title, path=escape(path))
    return HTMLResponse(content, 401, {"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"})
