"""What a person sees: exit codes, errors with hints, results on stdout and everything else on stderr."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from blogtwin import __version__, atomic
from blogtwin.cli.app import main
from blogtwin.config import Settings, load_settings
from blogtwin.training.table import KNOWN

POST = "---\ntitle: {0}\ndate: 2024-01-01\n---\n" + "{0} is what I think about when the {0} tide is out. " * 30
CHECKOUT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blog(*titles: str) -> Path:
    folder = Path("blog")
    folder.mkdir()
    for title in titles:
        (folder / f"{title}.md").write_text(POST.format(title), encoding="utf-8")
    return folder


def test_version() -> None:
    done = subprocess.run([sys.executable, "-m", "blogtwin", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"blogtwin {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "error", "hint"),
    [
        (["ingest", "--input-dir", "nowhere"], 1, "nowhere", "--input-dir"),
        (["ingest", "--input-dir", "empty"], 1, "empty", ""),
        (["ingest", "--formats", "md,exe", "--input-dir", "empty"], 2, "exe", "file name endings"),
        (["prepare-dataset", "--input", "none.jsonl"], 1, "none.jsonl", ""),
        (["prepare-dataset", "--split", "1.5"], 2, "--split: data.split is 1.5", "share of posts"),
        (["finetune", "--data", "none.jsonl"], 1, "none.jsonl", ""),
        (["deploy", "--model-path", "nowhere"], 1, "nowhere", "finetune"),
        (["deploy", "--model-name", "my twin"], 2, "'my twin' cannot be a model name", "--model-name"),
        (["deploy", "--model-name", "../../etc"], 2, "cannot be a model name", "--model-name"),
        (["deploy", "--model-name", "x;rm -rf ~"], 2, "cannot be a model name", "--model-name"),
        (["evaluate", "--model", "never-made"], 1, "no twin named never-made:latest", "blogtwin pipeline"),
        (["write", "tides", "--model", "never-made"], 1, "no twin named never-made:latest", "blogtwin pipeline"),
        (["pipeline", "--blog-dir", "empty", "--until", "lunch"], 2, "there is no stage 'lunch'", "ingest, prepare"),
        (["pipeline", "--config", "none.yaml"], 2, "none.yaml is not there", "blogtwin init"),
    ],
)
def test_every_mistake_gets_an_error_a_hint_and_its_exit_code(
    arguments: list[str], code: int, error: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    assert main(arguments) == code
    seen = capsys.readouterr()
    assert seen.out == ""
    first, _, rest = seen.err.partition("hint:")
    assert error in first.partition("error:")[2]
    assert hint in rest
    assert rest.strip()


def test_an_unknown_option_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ingest", "--inputdir", "x"]) == 2
    assert "--inputdir" in capsys.readouterr().err


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(Exception, match="nowhere"):
        main(["--debug", "ingest", "--input-dir", "nowhere"])


def test_help_names_every_base_model_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["finetune", "--help"]) == 0
    told = capsys.readouterr().out
    for name in KNOWN:
        assert name in told


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("blogtwin.stages.ingest.run", interrupted)
    assert main(["ingest", "--input-dir", "my blog"]) == 130
    seen = capsys.readouterr().err
    assert "the last checkpoint" in seen
    assert "go on with: blogtwin ingest --input-dir 'my blog'" in seen


def test_one_post_alone_is_too_few(capsys: pytest.CaptureFixture[str]) -> None:
    folder = blog("kettles")
    assert main(["pipeline", "--blog-dir", str(folder), "--until", "prepare"]) == 1
    seen = capsys.readouterr().err
    assert "error:" in seen
    assert "hint:" in seen


def test_results_are_on_stdout_as_json_and_progress_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    folder = blog("kettles", "tides", "clocks")
    (folder / "picture.md").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))
    assert main(["ingest", "--input-dir", str(folder), "--json"]) == 0
    seen = capsys.readouterr()
    told = json.loads(seen.out)
    assert told["counts"]["posts"] == 3
    assert [problem["path"] for problem in told["problems"]] == ["picture.md"]


def test_a_place_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    folder = blog("kettles", "tides")
    Path("file").write_text("in the way")
    assert main(["ingest", "--input-dir", str(folder), "--output", "file/posts.jsonl"]) == 1
    seen = capsys.readouterr().err
    assert "file/posts.jsonl cannot be written" in seen
    assert "--output" in seen


def test_init_writes_what_the_checkout_holds_and_keeps_what_was_edited(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    for name in ("pipeline_config.yaml", "prompts/instructions.yaml", "prompts/test_prompts.txt"):
        assert Path(name).read_bytes() == (CHECKOUT / name).read_bytes(), f"{name}: run `blogtwin init --force` here"
    assert load_settings() == Settings()
    atomic.write_text(Path("prompts/test_prompts.txt"), "my own prompt\n")
    capsys.readouterr()
    assert main(["init"]) == 0
    assert "kept     prompts/test_prompts.txt" in capsys.readouterr().out
    assert Path("prompts/test_prompts.txt").read_text() == "my own prompt\n"
    assert main(["init", "--force"]) == 0
    assert Path("prompts/test_prompts.txt").read_text() != "my own prompt\n"


def test_doctor_says_of_each_backend_and_runtime_why_it_is_or_is_not_usable(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", "--ollama-base-url", "http://127.0.0.1:9"]) == 0
    findings = {finding["subject"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert findings["runtime: llama-cpp"]["usable"] is True
    assert findings["runtime: ollama"]["usable"] is False
    assert "127.0.0.1:9" in findings["runtime: ollama"]["fact"]
    assert any(subject.startswith("training: ") and found["usable"] for subject, found in findings.items())
    assert main(["doctor"]) == 0
    assert "memory" in capsys.readouterr().out


def test_the_command_reference_is_current() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "typer",
            "blogtwin.cli.app",
            "utils",
            "docs",
            "--name",
            "blogtwin",
            "--title",
            "Commands",
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    page = (CHECKOUT / "docs" / "commands.md").read_text("utf-8")
    assert done.stdout.strip() == page.strip(), "docs/commands.md is stale: just reference"


def test_a_post_is_shown_beside_what_is_left_of_it_and_every_file_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "blogs").mkdir()
    text = "---\ntitle: Bread\ndate: 2020-01-02\n---\n\nIt rose, [they say](https://example.org).\n\n{% include ad.html %}\n"
    (tmp_path / "blogs" / "bread.md").write_text(text, encoding="utf-8")
    (tmp_path / "blogs" / "x.png").touch()
    assert main(["ingest", "--show", "bread.md"]) == 0
    shown = capsys.readouterr().out
    assert "2020-01-02 (front matter)" in shown
    before, after = next(line for line in shown.splitlines() if "It rose" in line).split("  ", 1)
    assert before == "It rose, [they say](https://example.org)."
    assert after.strip() == "It rose, they say."
    assert not (tmp_path / "data").exists()
    assert main(["ingest", "--files"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"bread\.md +cut +10 +4 +cut: ", told)
    assert re.search(r"x\.png +passed over +0 +0 +of another kind: \.png", told)
    assert main(["ingest", "--show", "none.md"]) == 1
    assert "none.md is not there" in capsys.readouterr().err
