"""The files of the page, read once: no name from a request ever becomes a path.

In: static/ and templates/ of this package. Out: bytes with their media types, and pages as text. All addresses of static files
hold a hash over all of them, so a browser may keep each for ever and still never mixes two versions.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_PACKAGE = "blogtwin.server.pages"


@dataclass(frozen=True)
class Asset:
    """One static file."""

    content: bytes
    media_type: str


@cache
def assets() -> dict[str, Asset]:
    """Every static file by its name."""
    return {
        file.name: Asset(file.read_bytes(), _TYPES[file.name.rpartition(".")[2]])
        for file in sorted((resources.files(_PACKAGE) / "static").iterdir(), key=lambda file: file.name)
        if file.name.rpartition(".")[2] in _TYPES
    }


@cache
def fingerprint() -> str:
    """A hash over all static files."""
    digest = hashlib.sha256()
    for name, asset in assets().items():
        digest.update(name.encode() + b"\0" + asset.content + b"\0")
    return digest.hexdigest()[:12]


@cache
def page(name: str) -> str:
    """The page `name` (write, quiz, dashboard) as HTML: the same for everybody, because it holds nothing of anybody's."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(_PACKAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(f"{name}.html.j2").render(page=name, static=f"/static/{fingerprint()}")
