"""Charts as inline SVG: marks with intervals, and bars. In: rows of numbers. Out: markup to be put into a page as it is.

A row is two lines high, its name and value above its mark, and all places along it are per cent of the width: so the letters
keep their size on a phone, and nothing has to be moved there. Colours are the page's: a class names the side. Each side has a
shape of its own as well, and the description says every number, for those who do not see the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Literal

from markupsafe import Markup, escape

Side = Literal["base", "few-shot", "twin", "author"]

_SHAPES: dict[Side, str] = {
    "base": "M-6-6H6V6H-6Z",
    "few-shot": "M0-7.5 7.5 6H-7.5Z",
    "twin": "M0-7a7 7 0 1 0 0 14a7 7 0 1 0 0-14Z",
    "author": "M0-8.5 8.5 0 0 8.5-8.5 0Z",
}
_MARGIN = 3.0  # per cent: half a mark on a narrow screen
_ROW, _TEXT, _MARK = 52, 17, 32  # pixels: of a row; from its top to its text's baseline, to the middle of its mark
_AXIS = 26


@dataclass(frozen=True)
class Row:
    """One line of a chart. value None: there is no mark, and `shown` says why. low, high: the ends of its interval."""

    label: str
    side: Side
    value: float | None
    shown: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Tick:
    """A line across all rows, and what stands under it."""

    value: float
    label: str


def marks(name: str, title: str, rows: Sequence[Row], ticks: Sequence[Tick], least: float, most: float) -> Markup:
    """Each row's value as a mark on one scale, with its interval.

    name: of the chart, unique on the page. title: what is seen, for a reader who does not see it. The scale reaches over all
    values, ticks and intervals, but not below `least` nor above `most`: what lies beyond is an arrow at the edge.
    """
    scale = _Scale.over(rows, ticks, least, most)
    return _svg(name, title, rows, [_mark(row, scale) for row in rows], ticks, scale)


def nice(most: float) -> float:
    """The end of a scale from 0 that holds `most`: 1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten."""
    power = 10 ** floor(log10(most)) if most > 0 else 1.0
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= most * (1 - 1e-9))


def bars(name: str, title: str, rows: Sequence[Row]) -> Markup:
    """Each row's value as a bar from 0. name, title: as of `marks`."""
    scale = _Scale(0.0, max((row.value for row in rows if row.value is not None), default=1.0) or 1.0)
    return _svg(name, title, rows, [_bar(row, scale) for row in rows], (), scale)


def shape(side: Side) -> Markup:
    """A side's mark by itself, to stand beside its name; the name says it all, so it is hidden from those who hear the page."""
    return Markup(
        f'<svg class="{side} shape" aria-hidden="true" width="16" height="16" viewBox="-9 -9 18 18">'
        f'<path class="mark" d="{_SHAPES[side]}"/></svg>'
    )


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float

    @classmethod
    def over(cls, rows: Sequence[Row], ticks: Sequence[Tick], least: float, most: float) -> _Scale:
        seen = [tick.value for tick in ticks]
        seen += [number for row in rows for number in (row.value, row.low, row.high) if number is not None]
        low, high = max(least, min(seen, default=0.0)), min(most, max(seen, default=1.0))
        return cls(low, high if high > low else low + 1.0)

    def at(self, value: float) -> float:
        """The place of a value in per cent of the width; of one beyond the scale, its end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(_MARGIN + (100 - 2 * _MARGIN) * share, 2)


def _svg(
    name: str, title: str, rows: Sequence[Row], drawn: Sequence[str], ticks: Sequence[Tick], scale: _Scale
) -> Markup:
    bottom = _ROW * len(rows)
    height = bottom + (_AXIS if ticks else 0)
    lines = [_tick(tick, scale, bottom) for tick in ticks]
    parts = [
        f'<g class="{row.side}" transform="translate(0 {_ROW * place})">{_words(row)}{mark}</g>'
        for place, (row, mark) in enumerate(zip(rows, drawn, strict=True))
    ]
    said = " ".join(f"{row.label}: {row.shown}." for row in rows)
    return Markup(
        f'<svg class="chart" role="img" aria-labelledby="{name}-title {name}-desc" width="100%" height="{height}">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(said)}</desc>'
        f"{''.join(lines)}{''.join(parts)}</svg>"
    )


def _words(row: Row) -> str:
    known = "" if row.value is not None else ' class="unknown"'
    return (
        f'<text x="0" y="{_TEXT}" class="label">{escape(row.label)}</text>'
        f'<text x="100%" y="{_TEXT}" text-anchor="end"{known}>{escape(row.shown)}</text>'
    )


def _tick(tick: Tick, scale: _Scale, bottom: int) -> str:
    at = scale.at(tick.value)
    # A label at the edge would be cut off: it ends, or begins, where its line stands.
    anchor = "start" if at < 15 else "end" if at > 85 else "middle"
    shift = {"start": -1, "middle": 0, "end": 1}[anchor] * _MARGIN
    lines = "".join(
        f'<line class="tick" x1="{at}%" x2="{at}%" y1="{top}" y2="{top + _ROW - _TEXT - 7}"/>'
        for top in range(_TEXT + 5, bottom, _ROW)
    )
    return f'{lines}<text class="axis" x="{at + shift:g}%" y="{bottom + 17}" text-anchor="{anchor}">{escape(tick.label)}</text>'


def _mark(row: Row, scale: _Scale) -> str:
    track = f'<line class="track" x1="0" x2="100%" y1="{_MARK}" y2="{_MARK}"/>'
    if row.value is None:
        return track
    interval = ""
    if row.low is not None and row.high is not None:
        low, high = scale.at(row.low), scale.at(row.high)
        interval = f'<line class="interval" x1="{low}%" x2="{high}%" y1="{_MARK}" y2="{_MARK}"/>'
        interval += "".join(
            _beyond(scale.at(end), end < scale.low) for end in (row.low, row.high) if not scale.low <= end <= scale.high
        )
    if not scale.low <= row.value <= scale.high:
        return track + interval + _beyond(scale.at(row.value), row.value < scale.low)
    return f"{track}{interval}{_placed(scale.at(row.value), _SHAPES[row.side], 'mark')}"


def _beyond(at: float, left: bool) -> str:
    return _placed(at, "M-9 0 1-6V6Z" if left else "M9 0-1-6V6Z", "beyond")


def _placed(at: float, path: str, kind: str) -> str:
    """A shape around a place that is given in per cent, which a path itself cannot be."""
    return f'<svg x="{at}%" y="{_MARK}" overflow="visible"><path class="{kind}" d="{path}"/></svg>'


def _bar(row: Row, scale: _Scale) -> str:
    if row.value is None:
        return ""
    width = max(0.5, round(100 * row.value / scale.high, 2))
    return f'<rect class="bar" x="0" y="{_MARK - 7}" width="{min(100.0, width)}%" height="14" rx="2"/>'
