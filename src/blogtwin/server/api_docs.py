"""/docs: the API for people, made from its schema; one page without a script, so that nothing is fetched from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)


@router.get("/docs", response_class=HTMLResponse)
def docs(request: Request) -> HTMLResponse:
    """Every operation with its parameters, an example of what is sent, and what may be answered."""
    return HTMLResponse("".join(_page(request.app.openapi(), str(request.base_url).rstrip("/"))))


def _page(schema: dict[str, Any], url: str) -> Iterator[str]:
    title = escape(schema["info"]["title"])
    yield f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}: the API</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1"></head><body><main>'
    yield f"<h1>{title}: the API</h1><p>{escape(schema['info'].get('summary', ''))} "
    yield 'For programs: <a href="/openapi.json">openapi.json</a>.</p>'
    for tag in schema.get("tags", []):
        yield f"<section><h2>{escape(tag['name'])}</h2><p>{escape(tag['description'])}</p>"
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                if tag["name"] in operation.get("tags", []):
                    yield from _operation(schema, url, method.upper(), path, operation)
        yield "</section>"
    yield "</main></body></html>"


def _operation(schema: dict[str, Any], url: str, method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f'<article id="{escape(operation["operationId"])}"><h3><code>{method} {escape(path)}</code></h3>'
    yield "".join(f"<p>{escape(part)}</p>" for part in operation.get("description", "").split("\n\n") if part)
    if parameters := operation.get("parameters"):
        yield "<ul>"
        for one in parameters:
            told = one.get("description") or one["schema"].get("description", "")
            yield f"<li><code>{escape(one['name'])}</code>{', needed' if one.get('required') else ''}: {escape(told)}</li>"
        yield "</ul>"
    example = _example(schema, operation.get("requestBody", {}))
    if example is not None:
        body = json.dumps(example, ensure_ascii=False)
        yield f"<pre>curl {escape(url + path)} -H 'Content-Type: application/json' \\\n     -d '{escape(body)}'</pre>"
    yield "<dl>"
    for status, answer in operation["responses"].items():
        yield f"<dt>{escape(status)}</dt><dd>{escape(answer.get('description', ''))}"
        shown = _example(schema, answer)
        if shown is not None and status.startswith("2"):
            yield f"<pre>{escape(json.dumps(shown, ensure_ascii=False, indent=2))}</pre>"
        yield "</dd>"
    yield "</dl></article>"


def _example(schema: dict[str, Any], holder: dict[str, Any]) -> Any:
    """The first example of a body; None: it has none."""
    told = holder.get("content", {}).get("application/json", {}).get("schema", {})
    if "$ref" in told:
        told = schema["components"]["schemas"][told["$ref"].rpartition("/")[2]]
    return next(iter(told.get("examples", ())), None)
