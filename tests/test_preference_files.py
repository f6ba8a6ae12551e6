"""A file of preferences of which nothing can be learned: the file, the line and the reason are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from blogtwin.cli.app import main

GOOD = {"prompt": "Write about rain.", "chosen": "It rained all day.", "rejected": "Rain is a game changer."}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (None, "nothing can be read of it"),
        ({"prompt": "P"}, "line 1: chosen is missing"),
        (GOOD | {"chosen": GOOD["rejected"]}, "line 1: the better and the worse answer are the same"),
        (GOOD | {"chosen": " "}, "line 1: the better answer is empty"),
        (GOOD | {"chosen": "word " * 2_000_000}, "line 1: the better answer has 10,000,000 characters"),
        (GOOD | {"twin": "another"}, "line 1: is of another twin, another"),
        (GOOD, "all 1 judgements are about one question"),
    ],
)
def test_a_file_that_teaches_nothing_says_which_line_and_why(
    line: dict[str, str] | None,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("said.jsonl").write_text("" if line is None else json.dumps(line) + "\n", "utf-8")
    assert main(["prepare-dataset", "--preferences", "said.jsonl", "--model-name", "my-twin"]) == 1
    said = capsys.readouterr().err
    assert "error: said.jsonl" in said
    assert reason in said
    assert "blogtwin serve" not in said  # who brings a file has no page to judge on
    assert not Path("data").exists()
