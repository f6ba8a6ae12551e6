"""Where a text tells more than its author meant to: e-mail addresses, phone numbers, keys, street addresses, chosen names.

In: any text. Out: places and kinds. Precision comes first: what is replaced by mistake is an author's sentence gone wrong, so
a finding needs the form of the thing and, where the form is common, words that say what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from blogtwin.config import Private
from blogtwin.markup.markdown import Ranges, parse
from blogtwin.privacy import keys

# Names that stand for nobody: RFC 2606 and RFC 6761, and what is written after `@` that is no host.
_RESERVED = frozenset({"example", "test", "invalid", "localhost", "local", "internal", "lan"})
_ENDINGS = (  # of files, and of systemd's units
    "png jpg jpeg gif svg webp css scss js mjs ts tsx jsx json html htm xml yml yaml toml md txt py rb rs go c h cc cpp hpp java "
    "kt sh el zip gz tar tgz service socket target timer mount path slice scope"
)
_NO_HOST = frozenset(_ENDINGS.split())
_ROLES = "git hg svn root user username you yourname someone name noreply no-reply notifications"
_NO_PERSON = frozenset(_ROLES.split())
_LOCAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+'-")
_HOST = re.compile(
    r"((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,6}[A-Za-z]{2,18})(?![\w@/-]|:\S|\.[A-Za-z0-9]|\()"
)
_AT = r"[ \t]?[\[({<][ \t]?at[ \t]?[\])}>][ \t]?"
_DOT = r"[ \t]?[\[({<][ \t]?(?:dot|\.)[ \t]?[\])}>][ \t]?"
_TOP = r"(?:com|org|net|edu|gov|io|dev|me|info|biz|de|uk|fr|jp|nl|it|es|ch|at|au|ca|in|eu|us|se|no|fi|dk|pl|br|ru|cn|kr|nz)"
_SPELT_OUT = (
    re.compile(
        rf"{_AT}[A-Za-z0-9-]{{1,63}}(?:(?:{_DOT}|[ \t]dot[ \t]|\.)[A-Za-z0-9-]{{2,63}}){{1,4}}(?!\w)", re.IGNORECASE
    ),
    re.compile(
        rf"[ \t]at[ \t][A-Za-z0-9-]{{1,63}}(?:[ \t]dot[ \t][A-Za-z0-9-]{{2,63}}){{0,3}}[ \t]dot[ \t]{_TOP}(?!\w)",
        re.IGNORECASE,
    ),
)
# Enough digits for a number people can be called at, parted as people part them.
_DIGITS = re.compile(r"\d[\d \t().\-\u00a0\u2010-\u2013/]{5,22}\d(?![\w%:=]|[.,-]\d)")
_NOT_BEFORE = frozenset(".,:/#=$€£¥%@-_")
_SAYS_PHONE = re.compile(
    r"(?:\b(?:tele)?phone\b|\bmobile\b|\bcell\b|\bfax\b|\btel\b|\bcall(?:ed|ing)?\b|\bwhatsapp\b|\bsms\b|\btext me\b|\bring me\b"
    r"|\bhotline\b|☎|📞|📱|\btelefon|\bhandy\b|\bmobil|\btéléphone|\bportable\b|\bteléfono|\bmóvil\b|電話|携帯|电话|手机|телефон)"
    r"[^\n]{0,40}$",
    re.IGNORECASE,
)
_NORTH_AMERICAN = re.compile(r"(?:\+?1[ \-.])?(?:\(\d{3}\)[ \t]?|\d{3}-)\d{3}-\d{4}")
_REGIONS = {
    "en": ("US", "GB"), "de": ("DE", "AT", "CH"), "fr": ("FR", "BE", "CH"), "es": ("ES", "MX"), "it": ("IT",),
    "ja": ("JP",), "nl": ("NL", "BE"), "pt": ("BR", "PT"), "pl": ("PL",), "ru": ("RU",), "zh": ("CN", "TW"), "ko": ("KR",),
    "sv": ("SE",), "da": ("DK",), "no": ("NO",), "nb": ("NO",), "fi": ("FI",), "cs": ("CZ",), "tr": ("TR",), "uk": ("UA",),
}  # fmt: skip
_STREET = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Way|Place|Pl|Terrace|Square|Sq|Parkway|Pkwy|Highway|Hwy"
    r"|Crescent|Close|Gardens|Grove|Row|Mews)\.?"
)
_UNIT = r"(?:,?[ \t](?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|\#)\.?[ \t]?[\w-]{1,6})?"
_PLACE = r"[,\n][ \t]?(?:[A-Z][\w.'-]{1,20}[ \t,]{1,2}){1,4}"
_ADDRESSES = (
    # 12 Elm Street, Apt 3, Springfield, IL 62704 · 221B Baker Street, London NW1 6XE
    re.compile(
        rf"\b\d{{1,5}}[A-Za-z]?[ \t](?:[NSEW]\.?[ \t])?(?:[A-Z0-9][\w.'-]{{0,20}}[ \t]){{1,4}}{_STREET}{_UNIT}{_PLACE}"
        r"(?:[A-Z]{2},?[ \t]\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]?[ \t]\d[A-Z]{2}"
        r"|[A-Z]{2},?[ \t][A-Z]\d[A-Z][ \t]?\d[A-Z]\d)(?!\w)"
    ),
    # Lindenstraße 12, 10969 Berlin
    re.compile(
        r"\b[A-ZÄÖÜ][\wäöüß.-]{1,30}(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|ufer|damm)[ \t]\d{1,4}[ \t]?[a-z]?"
        r"[,\n][ \t]?(?:D-|A-|CH-)?\d{4,5}[ \t][A-ZÄÖÜ][\wäöüß-]{1,30}"
    ),
    # 12, rue des Lilas, 75011 Paris
    re.compile(
        r"\b\d{1,4}(?:[ \t](?:bis|ter))?,?[ \t](?:rue|avenue|boulevard|place|chemin|allée|impasse|quai)[ \t][^\n,]{2,40}"
        r"[,\n][ \t]?\d{5}[ \t][A-ZÉÈ][\w'-]{1,30}"
    ),
    # 〒150-0001 東京都渋谷区神宮前1-2-3
    re.compile(r"〒[ \t]?\d{3}[-ー−]\d{4}[ \t]*[^\s、。]{4,40}"),
)
# What ends every address: addresses are looked for before one of these.
_POSTCODE = re.compile(
    r"\d(?:\d{4}(?<=[A-Z]{2} \d{5})(?!\d)|\d{3,4}(?= [A-ZÄÖÜÉ])|\d\d[-ー−]\d{4}(?!\d)"
    r"|[A-Z]{2}(?<=[A-Z\d] \d[A-Z]{2})(?![A-Za-z])|[A-Z]\d(?!\w))"
)
_ROAD = re.compile(
    r" (?:St|Av|Ro|Rd|Bou|Blvd|Dr|La|Ln|Co|Ct|Way|Pl|Te|Sq|Pa|Pk|Hi|Hw|Cr|Cl|Ga|Gr|Me)"
    r"|stra|str\.|weg |platz|allee|gasse|ring |ufer|damm|rue |avenue|boul|place|chemin|impasse|quai|〒"
)
_ADDRESS_LENGTH = 140
_CODE_MARK = re.compile(r"`|~~~|^(?: {4}|\t)|\$", re.MULTILINE)


class Found(NamedTuple):
    """A place in a text: start and end in characters."""

    start: int
    end: int
    kind: Private


def find(text: str, kinds: Collection[Private], names: Sequence[str] = (), language: str | None = None) -> list[Found]:
    """Everything of these kinds in `text`, in order, without overlaps.

    names: what "name" finds. language: of the text, by which a number without a country's prefix is read.
    """
    found: list[Found] = []
    for kind, look in _LOOKS:
        if kind in kinds:
            found += [Found(start, end, kind) for start, end in look(text, language)]
    if names and "name" in kinds:
        found += [Found(*match.span(), "name") for match in _names(tuple(names)).finditer(text)]
    if len(found) < 2:
        return found
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


def _emails(text: str, _: str | None) -> Iterator[tuple[int, int]]:
    at = text.find("@")
    while at >= 0:
        start = _start_of_local(text, at)
        host = _HOST.match(text, at + 1) if start < at else None
        if host and _is_person(text[start:at].lower(), host.group(1).lower().split(".")):
            yield start, host.end(1)
        at = text.find("@", at + 1)
    lower = text.lower()
    for pattern, marks in zip(_SPELT_OUT, (("[at", "(at", "<at", "{at", "[ at", "( at"), (" dot ",)), strict=True):
        if any(mark in lower for mark in marks):
            for match in pattern.finditer(text):
                start = _start_of_local(text, match.start())
                if start < match.start() and "example" not in match.group().lower():
                    yield start, match.end()


def _start_of_local(text: str, end: int) -> int:
    """Where the part of an address before its `@` begins; `end` where there is none, or it belongs to something longer."""
    start = end
    while start > 0 and end - start <= 64 and text[start - 1] in _LOCAL:
        start -= 1
    while start < end and text[start] in ".-+'_":
        start += 1
    before = text[start - 1] if start else " "
    joined = before in "/@:%$&=" and not text.startswith("mailto:", start - 7)
    return end if end - start > 64 or joined or before.isalnum() else start


def _is_person(local: str, labels: Sequence[str]) -> bool:
    if _RESERVED & set(labels[-2:]) or labels[-1] in _NO_HOST or "noreply" in labels:
        return False
    # A long row of digits and letters before the `@` is a message's number, not somebody's name.
    return local not in _NO_PERSON and sum(map(str.isdigit, local)) < 10


def _phones(text: str, language: str | None) -> Iterator[tuple[int, int]]:
    code: Ranges | None = None
    for match in _DIGITS.finditer(text):
        start, end = match.span()
        if not 7 <= sum(map(str.isdigit, match.group())) <= 15:
            continue
        while start and text[start - 1] in "(+":
            start -= 1
        said = text[start:end]
        before = text[start - 1] if start else " "
        if before in _NOT_BEFORE or before.isalnum():
            continue
        if said.startswith("+"):
            regions: tuple[str, ...] = ("ZZ",)
        elif _NORTH_AMERICAN.fullmatch(said):
            regions = ("US",)
        elif _SAYS_PHONE.search(text, max(0, start - 60), start):
            regions = _REGIONS.get(language or "en", _REGIONS["en"])
        else:
            continue
        if code is None:
            code = parse(text).verbatim() if _CODE_MARK.search(text) else Ranges(())
        if not code.hold(start) and _valid(said, regions):
            yield start, end


@lru_cache(maxsize=4096)
def _valid(said: str, regions: tuple[str, ...]) -> bool:
    """Whether the numbering plan of one of these regions knows the number, and it is not one reserved for stories."""
    import phonenumbers

    for region in regions:
        try:
            number = phonenumbers.parse(said, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return number.country_code != 1 or str(number.national_number)[3:8] != "55501"
    return False


def _addresses(text: str, _: str | None) -> Iterator[tuple[int, int]]:
    end = 0
    for code in _POSTCODE.finditer(text):
        if code.start() < end:
            continue
        start = max(end, code.start() - _ADDRESS_LENGTH)
        if not _ROAD.search(text, start, code.end()):
            continue
        for pattern in _ADDRESSES:
            if match := pattern.search(text, start, code.end() + _ADDRESS_LENGTH // 2):
                yield match.span()
                end = max(end, match.end())
                break


def _keys(text: str, _: str | None) -> Iterator[tuple[int, int]]:
    return keys.find(text)


@lru_cache(maxsize=4)
def _names(names: tuple[str, ...]) -> re.Pattern[str]:
    """Whole words in any case; the longer first, so that a full name is not replaced by halves."""
    ordered = sorted({" ".join(name.split()) for name in names if name.strip()}, key=lambda name: (-len(name), name))
    written = "|".join(r"\s+".join(map(re.escape, name.split())) for name in ordered) or r"(?!)"
    return re.compile(rf"(?<!\w)(?:{written})(?!\w)", re.IGNORECASE)


_LOOKS: tuple[tuple[Private, Callable[[str, str | None], Iterator[tuple[int, int]]]], ...] = (
    ("key", _keys),
    ("email", _emails),
    ("phone", _phones),
    ("address", _addresses),
)
