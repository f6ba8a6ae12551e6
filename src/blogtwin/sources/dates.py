"""When a post was written: from its front matter or from its path.

In: front matter values, paths. Out: datetimes with a time zone (UTC where none is said), so that any two compare.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import PurePath

# In the order of trust; front matter keys are compared without case, hyphens and underscores.
KEYS = (
    "date", "datetime", "published", "publishedat", "publishedon", "datepublished", "pubdate", "publishdate",
    "publicationdate", "posted", "created", "createdat", "createdon", "datecreated", "creationdate",
)  # fmt: skip
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = re.compile(
    r"[\sT,_-]*(?:at\s+)?(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?\s*(?P<half>[ap]\.?m\b)?"
    r"\s*(?P<zone>Z\b|UTC|GMT|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)
_DAYS = (
    re.compile(r"(?P<year>\d{4})[-/.\u2010-\u2013](?P<month>\d{1,2})[-/.\u2010-\u2013](?P<day>\d{1,2})(?!\d)"),
    re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?!\d)"),
    re.compile(r"(?P<year>\d{4})\s*年\s*(?P<month>\d{1,2})\s*月\s*(?P<day>\d{1,2})\s*日"),
    re.compile(r"(?P<day>\d{1,2})(?:st|nd|rd|th)?(?:\s+of)?[\s.-]+(?P<name>[A-Za-z]{3,9})[\s.,-]+(?P<year>\d{4})"),
    re.compile(r"(?P<name>[A-Za-z]{3,9})[\s.]+(?P<day>\d{1,2})(?:st|nd|rd|th)?[\s,]+(?P<year>\d{4})"),
    re.compile(r"(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.\s?(?P<year>\d{4})"),
    re.compile(r"(?P<first>\d{1,2})/(?P<second_number>\d{1,2})/(?P<year>\d{4})"),
)
_WEEKDAY = re.compile(r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[,.]?\s+", re.IGNORECASE)
_IN_NAME = re.compile(r"^(\d{4})[-_.]?(\d{2})[-_.]?(\d{2})(?!\d)")


def from_front_matter(values: Mapping[str, object]) -> tuple[datetime | None, str | None]:
    """The date that front matter gives, and a remark when a date was meant but cannot be one (2015-21-12)."""
    by_key = {re.sub(r"[-_\s]", "", key.lower()): value for key, value in values.items()}
    remark = None
    for key in KEYS:
        value = by_key.get(key)
        found = parse(value)
        if found is not None:
            return found, None
        # `published: true` and an empty `date:` mean no date; anything with digits was meant to be one.
        if remark is None and isinstance(value, str) and re.search(r"\d", value):
            remark = f"{key}: {value[:40]!r} in the front matter is not a date that can be read"
    return None, remark


def from_path(path: PurePath) -> datetime | None:
    """The date in a file or folder name (2019-03-10-title.md, 20190310.txt) or in folders (2019/03/10/, 2019/03/)."""
    for name in reversed(path.parts):
        match = _IN_NAME.match(name)
        if match and (found := _midnight(*match.groups())):
            return found
    folders = path.parts[:-1]
    for index, year in enumerate(folders):
        if re.fullmatch(r"(19|20)\d{2}", year) and len(folders) > index + 1:
            day = folders[index + 2] if len(folders) > index + 2 else "1"
            if found := _midnight(year, folders[index + 1], day) or _midnight(year, folders[index + 1], "1"):
                return found
    return None


def parse(value: object) -> datetime | None:
    """A date in any of the usual spellings, or None. 03/04/2018 is None: half the world reads it the other way."""
    if isinstance(value, datetime):
        return _aware(value)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, str):
        return None
    text = _WEEKDAY.sub("", " ".join(value.strip("<[\"'> \t\n\xa0]").split()))
    for pattern in _DAYS:
        match = pattern.match(text)
        day = _day(match.groupdict()) if match else None
        if match and day:
            clock = _CLOCK.match(text, match.end())
            return _with_clock(day, clock.groupdict()) if clock else day
    return None


def _day(part: Mapping[str, str]) -> datetime | None:
    if "name" in part:
        name = part["name"].lower()
        month = _MONTHS.index(name[:3]) + 1 if name[:3] in _MONTHS else 0
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
    zone = (part["zone"] or "Z").upper()
    offset = UTC if zone in ("Z", "UTC", "GMT") else _offset(zone)
    try:
        return day.replace(hour=hour, minute=minute, second=second, tzinfo=offset)
    except ValueError:
        return day


def _offset(zone: str) -> timezone:
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 23 or minutes > 59:
        return UTC
    return timezone((-1 if zone[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
