"""The main job as a person does it: one line, a twin; the same line again, nothing; a changed post, only what follows."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from blogtwin.cli.app import main

NOUNS = ("kettle", "tide", "clock", "pencil", "bread", "fog", "bees", "rope")


def paragraph(noun: str, number: int) -> str:
    return (
        f"The {noun} was there at six in the morning, which is to say before anyone else. And I looked at the {noun} "
        f"for {number} minutes; it looked back. Still, nobody mends a {noun} by looking, as it happens."
    )


@pytest.fixture(scope="module")
def blog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blog")
    for place, noun in enumerate(NOUNS):
        body = "\n\n".join(paragraph(noun, place * 7 + number) for number in range(3))
        (folder / f"{noun}.md").write_text(f"---\ntitle: About the {noun}\n---\n{body}\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, blog: Path, tiny_base: Path) -> tuple[Path, list[str]]:
    """A folder to work in, and the line that is typed there. The tests below go on from each other's state, in order."""
    folder = tmp_path_factory.mktemp("workshop")
    (folder / "pipeline_config.yaml").write_text(
        "training: {epochs: 1, max_length: 256, learning_rate: 2e-3}\n"
        "evaluation: {samples: 2, max_tokens: 24, test_prompts_file: prompts.txt}\n",
        encoding="utf-8",
    )
    (folder / "prompts.txt").write_text("Write about a kettle.\n", encoding="utf-8")
    line = ["pipeline", "--blog-dir", str(blog), "--base-model", str(tiny_base), "--model-name", "my-twin"]
    return folder, [*line, "--runtime", "llama-cpp"]


@pytest.fixture(autouse=True)
def there(workshop: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    folder, line = workshop
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BLOGTWIN_HOME", str(folder / "home"))
    return line


def outcome(line: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Why each stage ran or did not."""
    capsys.readouterr()
    assert main([*line, "--json"]) == 0
    return {stage: told["why"] for stage, told in json.loads(capsys.readouterr().out).items()}


def test_a_dry_run_tells_and_does_nothing(there: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*there, "--dry-run"]) == 0
    assert "ingest" in capsys.readouterr().out
    assert sorted(path.name for path in Path().iterdir()) == ["pipeline_config.yaml", "prompts.txt"]


def test_until_ends_after_that_stage(there: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert list(outcome([*there, "--until", "prepare"], capsys)) == ["ingest", "prepare"]
    assert Path("data/training_data.jsonl").is_file()
    assert not Path("models").exists()


def test_force_reads_again_what_seems_not_to_have_changed(there: list[str], blog: Path) -> None:
    """A file whose size and time are those of the last run: copied back with its time, or on a disk with coarse clocks."""
    post = blog / "kettle.md"
    was, text = post.stat(), post.read_text("utf-8")
    try:
        post.write_text(text.replace("kettle", "bottle"), encoding="utf-8")
        os.utime(post, ns=(was.st_atime_ns, was.st_mtime_ns))
        assert main([*there, "--until", "ingest"]) == 0
        assert "bottle" not in Path("data/raw_blogs.jsonl").read_text("utf-8")
        assert main([*there, "--until", "ingest", "--force"]) == 0
        assert "bottle" in Path("data/raw_blogs.jsonl").read_text("utf-8")
    finally:
        post.write_text(text, encoding="utf-8")
        os.utime(post, ns=(was.st_atime_ns, was.st_mtime_ns))
        assert main([*there, "--until", "ingest", "--force"]) == 0


def test_one_line_makes_a_twin_and_ends_with_a_table(there: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(there) == 0
    seen = capsys.readouterr()
    assert "1/5 ingest: skipped, nothing has changed" in seen.err
    for row in ("posts", "examples", "loss", "perplexity", "voice", "files"):
        assert any(line.startswith(row) for line in seen.out.splitlines()), f"{row} is not in the table:\n{seen.out}"
    assert 'blogtwin write "a topic of yours" --model my-twin' in seen.out
    report = json.loads(Path("results/eval_report.json").read_text("utf-8"))
    assert {"perplexity", "style_similarity_score", "average_bleu", "sample_comparisons"} <= set(report)
    for name in (
        "adapter_model.safetensors",
        "loss.png",
        "training_log.jsonl",
        "deploy/model.gguf",
        "deploy/Modelfile",
    ):
        assert Path("models/my-twin", name).stat().st_size > 0


def test_the_same_line_again_does_nothing(there: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*") if path.is_file()}
    assert set(outcome(there, capsys).values()) == {"nothing has changed"}
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*") if path.is_file()} == before


def test_another_deployment_setting_leaves_the_training_alone(
    there: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    why = outcome([*there, "--quantize", "f16"], capsys)
    assert why["finetune"] == "nothing has changed"
    assert why["deploy"] == "its settings have changed"
    assert why["evaluate"] != "nothing has changed"


def test_a_deleted_output_is_made_again(there: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    report = Path("results/eval_report.json")
    was = report.read_bytes()
    report.unlink()
    why = outcome([*there, "--quantize", "f16"], capsys)
    assert why["deploy"] == "nothing has changed"
    assert "eval_report.json has changed" in why["evaluate"]
    assert report.read_bytes() == was


def test_the_twin_writes_and_saves_in_every_format(there: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    import docx

    asked = ["write", "a kettle", "--model", "my-twin", "--length", "30", "--seed", "1"]
    assert main(asked) == 0
    first = capsys.readouterr().out
    assert first.strip()
    assert main(asked) == 0
    assert capsys.readouterr().out == first
    assert main([*asked, "--output", "post.docx"]) == 0
    assert docx.Document("post.docx").paragraphs
    capsys.readouterr()
    assert main([*asked, "--format", "html"]) == 0
    assert "<html" in capsys.readouterr().out
    assert main([*asked, "--options", "2", "--output", "post.md"]) == 0
    one, two = Path("post-1.md").read_text("utf-8"), Path("post-2.md").read_text("utf-8")
    assert one.strip() == first.strip()
    assert one != two
    assert main([*asked, "--format", "docx"]) == 2
    assert "--output post.docx" in capsys.readouterr().err


def test_a_changed_post_runs_what_depends_on_it(
    there: list[str], blog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (blog / "kettle.md").write_text("---\ntitle: The new kettle\n---\n" + paragraph("kettle", 99) * 3, "utf-8")
    assert main([*there, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "runs: input" in told
    assert "runs if ingest changes its input" in told
    why = outcome([*there, "--until", "prepare"], capsys)
    assert f"{blog} has changed" in why["ingest"]
    assert "raw_blogs.jsonl has changed" in why["prepare"]
