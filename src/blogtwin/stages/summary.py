"""What the reports on many files come to: figures, tallies and the files to look at; constant in size."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from blogtwin.records import FileReport, Verdict
from blogtwin.stages.result import Problem, Tally

_PROBLEMS_KEPT = 1000  # in memory and on the screen; the report has them all


@dataclass
class Summary:
    """Reports are added one by one. words_before and words_after: over all files."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    words_before: int = 0
    words_after: int = 0
    problems: list[Problem] = field(default_factory=list)
    _files: Counter[tuple[str, str]] = field(default_factory=Counter)
    _words: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, report: FileReport) -> None:
        """Count one file."""
        self.verdicts[report.verdict] += 1
        self.words_before += report.words_before
        self.words_after += report.words_after
        lost = report.verdict in ("dropped", "unreadable")
        if report.verdict == "passed over":
            self._count(report.verdict, report.reasons[0], 0)
        elif lost:
            self._count(report.verdict, _kind(report.reasons[0]), report.words_before)
        else:
            for what, words in report.cuts.items():
                self._count("cut", what, words)
        if len(self.problems) < _PROBLEMS_KEPT and report.verdict != "passed over":
            self.problems += [
                Problem(report.path, reason, lost=lost and number == 0) for number, reason in enumerate(report.reasons)
            ]

    def _count(self, verdict: str, what: str, words: int) -> None:
        self._files[verdict, what] += 1
        self._words[verdict, what] += words

    @property
    def kept(self) -> int:
        """How many files gave a post."""
        return self.verdicts["kept"] + self.verdicts["cut"]

    def tallies(self) -> tuple[Tally, ...]:
        """For each verdict and kind of reason, the most frequent first."""
        order = ("cut", "dropped", "unreadable", "passed over")
        kinds = sorted(self._files, key=lambda kind: (order.index(kind[0]), -self._files[kind], kind[1]))
        return tuple(Tally(*kind, self._files[kind], self._words[kind]) for kind in kinds)


def _kind(reason: str) -> str:
    """`is in another language: ja` → `is in another language`: particulars follow the colon."""
    return reason.partition(": ")[0]
