"""How long to train, when to look at the validation answers, and when to stop: plain arithmetic, the same for every backend."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from blogtwin.config import TrainingSettings
from blogtwin.training import curve

_VALIDATIONS_AN_EPOCH = 2  # with the default patience of 3, an epoch and a half without a gain ends it
MOST_VALIDATION_ROWS = 100  # more cost time at every look and change little


@dataclass(frozen=True)
class Schedule:
    """steps: in all. warm_up: steps over which the rate rises. validations: the steps after which to validate.

    patience: validations without a new best, after which training ends.
    """

    steps: int
    warm_up: int
    validations: frozenset[int]
    patience: int

    @classmethod
    def plan(cls, rows: int, settings: TrainingSettings) -> Schedule:
        """The schedule for `rows` training rows; the last step is always a validation."""
        an_epoch = ceil(rows / settings.batch_size)
        steps = max(1, ceil(an_epoch * settings.epochs))
        every = max(1, an_epoch // _VALIDATIONS_AN_EPOCH)
        looks = frozenset({*range(every, steps + 1, every), steps})
        return cls(steps, ceil(steps * settings.warm_up), looks, settings.patience)

    def is_over(self, log: curve.Log) -> bool:
        """Whether training has ended: the steps are done, or patience is at its end."""
        measured = curve.validations(log)
        best = curve.best_step(log)
        if best is None:
            return False
        return self.steps in measured or sum(step > best for step in measured) >= self.patience
