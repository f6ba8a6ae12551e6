"""When a post was written: what its front matter, its path or its first lines say, and which of them is believed.

In: front matter values, paths, texts. Out: datetimes with a time zone (UTC where none is said), so that any two compare.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import PurePath

from blogtwin.records import DateSource
from blogtwin.sources.base import Document

# In the order of trust; front matter keys are compared without case, hyphens, underscores and spaces.
KEYS = (
    "date", "datetime", "published", "publishedat", "publishedon", "datepublished", "pubdate", "publishdate",
    "publicationdate", "posted", "postedon", "postdate", "created", "createdat", "createdon", "datecreated",
    "creationdate", "createddate", "dates", "day", "pubdatetime", "firstpublished", "revdate",
)  # fmt: skip
_MONTHS = {
    # By their first letters without accents, in the languages that write them so: en de fr es it pt nl sv da.
    "jan": 1, "gen": 1, "ene": 1, "feb": 2, "fev": 2, "mar": 3, "maa": 3, "mrz": 3, "apr": 4, "avr": 4, "abr": 4,
    "may": 5, "mai": 5, "mei": 5, "mag": 5, "maj": 5, "jun": 6, "juin": 6, "giu": 6, "jul": 7, "juil": 7, "lug": 7,
    "aug": 8, "aou": 8, "ago": 8, "sep": 9, "set": 9, "oct": 10, "okt": 10, "ott": 10, "out": 10, "nov": 11,
    "dec": 12, "dez": 12, "des": 12, "dic": 12,
}  # fmt: skip
_CLOCK = re.compile(
    r"[\sT,_-]*(?:at\s+|[A-Z][a-z]{1,2}\.?\s+)?(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?\s*(?P<half>[ap]\.?m\b)?"
    r"\s*(?P<zone>(?:UTC|GMT)?[+-](?:\d{2}:?\d{2}|\d{1,2}\b)|Z\b|UTC|GMT)?",
    re.IGNORECASE,
)
_COMPACT_CLOCK = re.compile(r"T(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?(?P<half>)(?P<zone>Z|[+-]\d{4})?")
_NAME = r"(?P<name>[^\W\d_]{3,10})"
_DAYS = (
    re.compile(r"(?P<year>\d{4})[-/.\u2010-\u2013](?P<month>\d{1,2})[-/.\u2010-\u2013](?P<day>\d{1,2})(?!\d)"),
    re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?!\d)"),
    re.compile(r"(?P<year>\d{4})\s*年\s*(?P<month>\d{1,2})\s*月\s*(?P<day>\d{1,2})\s*日"),
    re.compile(
        rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th|er|º)?(?:\s+(?:of|de))?[\s.-]+{_NAME}\.?(?:\s+de|\s+del)?[\s.,-]+(?P<year>\d{{4}})"
    ),
    re.compile(rf"{_NAME}[\s.]+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[\s,]+(?P<year>\d{{4}})"),
    re.compile(rf"(?P<year>\d{{4}})[\s-]+{_NAME}[\s.-]+(?P<day>\d{{1,2}})(?!\d)"),
    re.compile(r"(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.\s?(?P<year>\d{4})"),
    re.compile(r"(?P<first>\d{1,2})/(?P<second_number>\d{1,2})/(?P<year>\d{4})"),
)
_WEEKDAY = re.compile(r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[,.]?\s+|^(?:le|den|am|il)\s+(?=\d)", re.IGNORECASE)
_EPOCH = re.compile(r"1\d{9}(?:\d{3})?")  # seconds or milliseconds since 1970, from 2001 to 2033
_IN_NAME = re.compile(r"^(\d{4})[-_.]?(\d{2})[-_.]?(\d{2})(?!\d)")
_INTRODUCED = re.compile(
    r"^(?:(?:first\s+)?(?:posted|published|written|date|created)(?:\s+on|\s+at)?\s*:?|by\s+.{1,40}?\s+on|on)\s+(?=\S)",
    re.IGNORECASE,
)
_AROUND = "*_`>-–—•#()[]<>/ \t.,|"
_DAY = timedelta(days=1)


def from_front_matter(said: Mapping[str, object]) -> tuple[datetime | None, str | None]:
    """The date that front matter gives, and a remark when a date was meant but cannot be one (2015-21-12).

    said: its values by folded keys (metadata.folded).
    """
    remark = None
    for key in KEYS:
        if key not in said:
            continue
        value = said[key]
        if isinstance(value, list) and value:
            value = value[0]
        found = parse(value)
        if found is not None:
            return found, None
        # `published: true` and an empty `date:` mean no date; anything with digits was meant to be one.
        if remark is None and isinstance(value, str) and re.search(r"\d", value):
            remark = f"{key}: {value[:40]!r} in the front matter is not a date that can be read"
    return None, remark


def in_path(path: PurePath) -> tuple[datetime | None, DateSource | None]:
    """The date in a file name (2019-03-10-title.md, 20190310.txt), or in folders (2019/03/10/, 2019/03/, 2019-03-10-x/)."""
    for name in reversed(path.parts):
        match = _IN_NAME.match(name)
        if match and (found := _midnight(*match.groups())):
            return found, "file name" if name == path.name else "folder"
    folders = path.parts[:-1]
    for index, year in enumerate(folders):
        if re.fullmatch(r"(19|20)\d{2}", year) and len(folders) > index + 1:
            day = folders[index + 2] if len(folders) > index + 2 else "1"
            if found := _midnight(year, folders[index + 1], day) or _midnight(year, folders[index + 1], "1"):
                return found, "folder"
    return None, None


def from_first_lines(body: str) -> tuple[datetime | None, str]:
    """The date on a line of its own above the text, and the body without that line, which says nothing else."""
    start = body.lstrip("\n")
    line, _, rest = start[:200].partition("\n")
    rest = start[len(line) :]
    moment = of_line(line)
    return (moment, rest.lstrip("\n")) if moment and rest.strip() else (None, body)


def of_line(line: str) -> datetime | None:
    """The date that is all a line says: `Posted on March 10, 2019`, `*2019-03-10*`, `## 10.3.2019`."""
    line = line.strip(_AROUND + "\r")
    if not 8 <= len(line) <= 80 or not any(character.isdigit() for character in line):
        return None
    moment, rest = _read(_INTRODUCED.sub("", line))
    return moment if not rest.strip(_AROUND) or re.fullmatch(r"\W*[A-Za-z]{2,4}\W*", rest) else None


def settle(document: Document, relative: PurePath) -> tuple[datetime | None, DateSource | None, str | None]:
    """When the post at `relative`, below the blog folder, was written; who says so; and a remark where two disagree.

    Front matter is believed first, then the file name, a folder, a line above the text, a document's properties.
    """
    said, origin = document.created_at, document.created_from
    named, place = in_path(relative)
    if said is None or origin != "front matter":
        return (named, place, None) if named else (said, origin, None)
    # Folders often say the month alone, and a time zone moves a day.
    if named and place == "file name" and abs(said - named) > 2 * _DAY:
        remark = f"the front matter says {said:%Y-%m-%d}, the file name {named:%Y-%m-%d}; the front matter was believed"
        return said, origin, remark
    return said, origin, None


def parse(value: object) -> datetime | None:
    """A date in any of the usual spellings, or None. 03/04/2018 is None: half the world reads it the other way."""
    if isinstance(value, datetime):
        return _aware(value)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > 200:
        return None
    return _read(value)[0]


def _read(value: str) -> tuple[datetime | None, str]:
    """The date that `value` begins with, and what follows it."""
    text = _WEEKDAY.sub("", " ".join(value.strip("<[\"'> \t\n\xa0]").split()))
    if _EPOCH.fullmatch(text):
        return datetime.fromtimestamp(int(text[:10]), UTC), ""
    for pattern in _DAYS:
        match = pattern.match(text)
        day = _day(match.groupdict()) if match else None
        if match and day:
            clock = _CLOCK.match(text, match.end()) or _COMPACT_CLOCK.match(text, match.end())
            if not clock:
                return day, text[match.end() :]
            return _with_clock(day, clock.groupdict()), text[clock.end() :]
    return None, text


def _day(part: Mapping[str, str]) -> datetime | None:
    if "name" in part:
        name = unicodedata.normalize("NFKD", part["name"].lower()).encode("ascii", "ignore").decode()
        month = _MONTHS.get(name[:4]) or _MONTHS.get(name[:3], 0)
        return _midnight(part["year"], str(month), part["day"])
    if "first" in part:
        first, second = int(part["first"]), int(part["second_number"])
        if first > 12 >= second or first == second:
            return _midnight(part["year"], str(second), str(first))
        return _midnight(part["year"], str(first), str(second)) if second > 12 >= first else None
    return _midnight(part["year"], part["month"], part["day"])


def _midnight(year: str, month: str, day: str) -> datetime | None:
    if not (month.isdecimal() and day.isdecimal() and 1900 <= int(year) <= 2200):
        return None
    try:
        return datetime(int(year), int(month), int(day), tzinfo=UTC)
    except ValueError:
        return None


def _with_clock(day: datetime, part: Mapping[str, str | None]) -> datetime:
    hour, minute, second = (int(part[name] or 0) for name in ("hour", "minute", "second"))
    if part["half"] and hour <= 12:
        hour = hour % 12 + (12 if part["half"].lower().startswith("p") else 0)
    zone = (part["zone"] or "Z").upper().removeprefix("UTC").removeprefix("GMT")
    offset = UTC if zone in ("Z", "") else _offset(zone)
    try:
        return day.replace(hour=hour, minute=minute, second=second, tzinfo=offset)
    except ValueError:
        return day


def _offset(zone: str) -> timezone:
    digits = zone[1:].replace(":", "")
    hours, minutes = (int(digits), 0) if len(digits) <= 2 else (int(digits[:-2]), int(digits[-2:]))
    if hours > 23 or minutes > 59:
        return UTC
    return timezone((-1 if zone[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
