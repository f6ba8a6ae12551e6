"""The stopping rule, simulated: how often it is wrong, how soon it is right, and what a fixed-size test would take.

    uv run python bench/rollout.py [--experiments 2000]

Every experiment is the real rule (feedback/rollout.py) on simulated readers: a challenger begins with 10% of the requests, gets
50% and then all by the rule alone, and is looked at after every block of judgements. One rating is one like or dislike.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, median

from blogtwin.config import LearningSettings
from blogtwin.feedback.rollout import Block, Decision, Rating, Trial, blocks

LEARNING = LearningSettings()
POWERS = (0.5, 0.8, 0.95)
SITTING = 4  # ratings of one reader in a row, where readers differ


@dataclass(frozen=True)
class Readers:
    """challenger, champion: how often a draft of theirs is liked. most: ratings after which an experiment ends.

    drift: how much the like rate of both rises from the first rating to the last. differing: standard deviation of what readers
    of one sitting add to or take from it. choosing: share of the requests that offer a draft of both, and are chosen from.
    """

    challenger: float
    champion: float
    most: int
    shares: tuple[int, ...] = LEARNING.shares
    drift: float = 0.0
    differing: float = 0.0
    choosing: float = 0.0


@dataclass(frozen=True)
class Ended:
    """One experiment. ratings: until it ended. shown: of them the challenger's. stepped: ratings until its second share."""

    decision: Decision
    ratings: int
    shown: int
    stepped: int | None


def experiment(readers: Readers, chance: random.Random) -> Ended:
    """One challenger, from its first share to a decision, or to `most` ratings."""
    trial = Trial(readers.shares[0], readers.shares, LEARNING.error_rate)
    count = shown = 0
    stepped: int | None = None

    def said() -> Iterator[Rating | Block]:
        nonlocal count, shown
        mood, sitting, challenger = 0.0, 0, False
        while count < readers.most:
            if not sitting:  # a session stays with its version
                sitting = SITTING if readers.differing else 1
                mood = chance.gauss(0, readers.differing) if readers.differing else 0.0
                challenger = chance.random() * 100 < trial.decision.share
            sitting -= 1
            count += 1
            moved = mood + readers.drift * (count / readers.most - 0.5)
            if chance.random() < readers.choosing:
                yield Block(1, 1, 1, int(_chosen(readers, moved, chance)))
                continue
            shown += challenger
            liked = chance.random() < moved + (readers.challenger if challenger else readers.champion)
            yield Rating(challenger, liked)

    for block in blocks(said()):
        decision = trial.add(block)
        if stepped is None and decision.share > readers.shares[0]:
            stepped = count
        if decision.action in ("promote", "roll back"):
            break
    return Ended(trial.decision, count, shown, stepped)


def _chosen(readers: Readers, moved: float, chance: random.Random) -> bool:
    """Whether a reader who sees both takes the challenger's: the one they like, and by chance where they like both or neither."""
    likes = [chance.random() < rate + moved for rate in (readers.challenger, readers.champion)]
    return likes[0] if likes[0] != likes[1] else chance.random() < 0.5


def fixed_size(better: float, worse: float, share: float, power: float, error_rate: float) -> int:
    """Ratings that a one-sided z-test of two proportions takes in all, where `share` of them are the challenger's."""
    normal = NormalDist()
    pooled = share * better + (1 - share) * worse
    under_null = normal.inv_cdf(1 - error_rate) * sqrt(pooled * (1 - pooled) * (1 / share + 1 / (1 - share)))
    spread = better * (1 - better) / share + worse * (1 - worse) / (1 - share)
    return round(((under_null + normal.inv_cdf(power) * sqrt(spread)) / (better - worse)) ** 2)


def _interval(part: int, whole: int) -> str:
    share = part / whole
    half = 1.96 * sqrt(share * (1 - share) / whole)
    return f"{share:.1%} ± {half:.1%}"


def _run(readers: Readers, experiments: int, seed: int = 1) -> list[Ended]:
    chance = random.Random(seed)
    return [experiment(readers, chance) for _ in range(experiments)]


def _counted(ended: list[Ended], action: str) -> list[Ended]:
    return [one for one in ended if one.decision.action == action]


def _table(title: str, columns: list[str], rows: list[list[str]], tell: Callable[[str], None]) -> None:
    tell(f"\n{title}\n")
    tell("| " + " | ".join(columns) + " |")
    tell("|" + "---|" * len(columns))
    for row in rows:
        tell("| " + " | ".join(row) + " |")


def wrong(experiments: int, tell: Callable[[str], None]) -> None:
    """How often a version that is no better is promoted."""
    cases = {
        "equal, 50% liked": Readers(0.5, 0.5, 3000),
        "equal, 80% liked": Readers(0.8, 0.8, 3000),
        "equal, 95% liked": Readers(0.95, 0.95, 3000),
        "a little worse, 48% beside 50%": Readers(0.48, 0.5, 3000),
        "equal, while the like rate rises from 30% to 70%": Readers(0.5, 0.5, 3000, drift=0.4),
        "equal, half of the judgements choices of two": Readers(0.5, 0.5, 3000, choosing=0.5),
        "equal, readers of four ratings differ by 10 points": Readers(0.5, 0.5, 3000, differing=0.1),
        "equal, readers of four ratings differ by 20 points": Readers(0.5, 0.5, 3000, differing=0.2),
    }
    rows = []
    for name, readers in cases.items():
        ended = _run(readers, experiments)
        promoted, back = (len(_counted(ended, action)) for action in ("promote", "roll back"))
        rows.append([name, _interval(promoted, experiments), _interval(back, experiments)])
    columns = ["versions", "promoted", "rolled back"]
    _table(f"No better, {experiments:,} experiments of up to 3,000 ratings each", columns, rows, tell)


def right(experiments: int, tell: Callable[[str], None]) -> None:
    """How soon a better version is promoted."""
    rows = []
    cases = (
        ("60% beside 50%, 10 → 50 → 100%", Readers(0.6, 0.5, 20_000)),
        ("60% beside 50%, half of the time from the start", Readers(0.6, 0.5, 20_000, shares=(50, 100))),
        ("60% beside 50%, 10% all the time", Readers(0.6, 0.5, 20_000, shares=(10, 100))),
        ("70% beside 50%, 10 → 50 → 100%", Readers(0.7, 0.5, 20_000)),
        ("80% beside 50%, 10 → 50 → 100%", Readers(0.8, 0.5, 20_000)),
        ("60% beside 50%, every second a choice of two", Readers(0.6, 0.5, 20_000, choosing=0.5)),
    )
    for name, readers in cases:
        ended = _run(readers, experiments)
        taken = sorted(one.ratings for one in _counted(ended, "promote"))
        share = 0.1 if readers.shares == (10, 100) else 0.5
        sizes = [
            fixed_size(readers.challenger, readers.champion, share, power, LEARNING.error_rate)
            for power in (0.5, 0.8, 0.95)
        ]
        rows.append(
            [
                name,
                f"{len(taken) / experiments:.1%}",
                f"{median(taken):,.0f}",
                f"{taken[int(0.8 * len(taken))]:,}",
                f"{taken[int(0.95 * len(taken))]:,}",
                f"{share:.0%}",
                " / ".join(f"{size:,}" for size in sizes),
            ]
        )
    fixed = ["fixed size at", "its ratings for power 50 / 80 / 95%"]
    columns = ["versions", "promoted at last", "median ratings", "80% by", "95% by", *fixed]
    _table(f"Better, {experiments:,} experiments", columns, rows, tell)


def worse(experiments: int, tell: Callable[[str], None]) -> None:
    """How soon a worse version is taken back, and how many of its drafts readers saw until then."""
    rows = []
    for challenger, champion in ((0.4, 0.5), (0.3, 0.5), (0.2, 0.6), (0.05, 0.6)):
        ended = _run(Readers(challenger, champion, 20_000), experiments)
        back = _counted(ended, "roll back")
        past = sum(one.stepped is not None for one in ended)
        rows.append(
            [
                f"{challenger:.0%} beside {champion:.0%}",
                f"{len(back) / experiments:.1%}",
                f"{median(one.ratings for one in back):,.0f}",
                f"{median(one.shown for one in back):,.0f}",
                _interval(past, experiments),
            ]
        )
    columns = ["versions", "rolled back at last", "median ratings", "of them its own", "reached 50%"]
    _table(f"Worse, {experiments:,} experiments", columns, rows, tell)


def main() -> None:
    """Print all three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=2000)
    given = parser.parse_args()
    print(f"error rate {LEARNING.error_rate:.0%}, shares {' → '.join(map(str, LEARNING.shares))}%")
    for part in (wrong, right, worse):
        part(given.experiments, print)


if __name__ == "__main__":
    main()
