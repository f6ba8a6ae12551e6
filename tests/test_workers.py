"""Work on all cores: in order, in bounded memory, and nothing but the guilty item is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from blogtwin import workers


def square(number: int) -> int:
    return number * number


def square_or_die(number: int) -> int:
    if number == 300:
        os._exit(9)
    return number * number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number


def lost(number: int) -> int:
    return -1


@pytest.mark.parametrize("many", [10, 700])
@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_items(many: int, processes: int) -> None:
    assert list(workers.ordered(square, range(many), processes, lost)) == [number**2 for number in range(many)]


def test_an_item_that_kills_its_process_is_the_only_one_lost() -> None:
    found = list(workers.ordered(square_or_die, range(500), 2, lost))
    assert found == [-1 if number == 300 else number**2 for number in range(500)]


@pytest.mark.parametrize("many", [10, 700])
def test_an_exception_comes_through(many: int) -> None:
    with pytest.raises(ValueError, match="three"):
        list(workers.ordered(fail_at_three, range(many), 2, lost))


def test_items_are_taken_no_further_ahead_than_the_workers_need() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(100_000):
            taken += 1
            yield number

    results = workers.ordered(square, items(), 2, lost)
    assert next(results) == 0
    assert taken < 2000
    results.close()  # type: ignore[attr-defined]


def test_processes_that_cannot_start_are_not_blamed_on_the_items(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"  # each worker would run it again, and is ended by Python when it tries
    script.write_text(
        "from blogtwin import workers\nprint(sum(workers.ordered(abs, range(500), 2, abs)))\n", encoding="utf-8"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "processes that help with the work end as soon as they start" in done.stderr
