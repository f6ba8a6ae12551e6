"""Files appear whole or not at all; JSONL faults name the line; manifests notice every change."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from blogtwin import atomic, jsonl
from blogtwin.errors import BrokenRecord, InputError, OutputError
from blogtwin.manifest import Plan, hash_settings
from blogtwin.records import Example


def example(number: int) -> Example:
    return Example(id=str(number), post_id="p", kind="topic", instruction="Write.", input="", output="Ünïcode\n💡")


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "examples.jsonl"
    written = [example(number) for number in range(3)]
    assert jsonl.write(path, written) == 3
    assert list(jsonl.read(path, Example)) == written


def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    jsonl.write(path, [example(1)])

    def failing():
        yield example(2)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        jsonl.write(path, failing())
    assert list(jsonl.read(path, Example)) == [example(1)]
    assert [child.name for child in tmp_path.iterdir()] == ["examples.jsonl"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{broken", "is not JSON"),
        (b'["a"]', "is a JSON list, not an object"),
        (b'{"id": "\xff"}', "is not UTF-8"),
        (b'{"id": "1"}', "is no Example: post_id"),
        (b'{"id":"1","post_id":"p","kind":"topic","instruction":"","input":"","output":"","x":1}', "x: extra"),
    ],
)
def test_a_broken_line_in_the_middle_is_named(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "examples.jsonl"
    good = example(1).model_dump_json().encode()
    path.write_bytes(b"\n".join([good, line, good]))
    with pytest.raises(BrokenRecord) as fault:
        list(jsonl.read(path, Example))
    assert f"{path}, line 2: " in fault.value.message
    assert reason.lower() in fault.value.message.lower()
    assert fault.value.hint


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.jsonl is not there"):
        list(jsonl.read(tmp_path / "none.jsonl", Example))


def test_a_place_that_cannot_be_written_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError) as refusal:
        atomic.write_text(tmp_path / "file" / "out.txt", "text")
    assert str(tmp_path / "file" / "out.txt") in refusal.value.message
    assert "--output" in refusal.value.hint


def test_a_full_disk_is_said_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(OutputError, match="the disk is full"), atomic.open_text(path) as file:
        file.write("new")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "old"
    assert [child.name for child in tmp_path.iterdir()] == ["out.txt"]


def test_a_really_full_device_is_said() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OutputError, match="the disk is full"), atomic.writing_to(full), full.open("w") as file:
        file.write("x" * 100_000)


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with atomic.open_folder(folder) as partial:
        (partial / "a").write_text("1")
    with pytest.raises(RuntimeError), atomic.open_folder(folder) as partial:
        (partial / "b").write_text("2")
        raise RuntimeError
    assert [child.name for child in folder.iterdir()] == ["a"]
    with atomic.open_folder(folder) as partial:
        (partial / "c").write_text("3")
    assert [child.name for child in folder.iterdir()] == ["c"]


def plan(folder: Path, **settings: object) -> Plan:
    return Plan("stage", settings, (folder / "in",), (folder / "out",), folder / "manifest.json")


def test_a_stage_is_current_until_something_changes(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("1")
    assert plan(tmp_path, x=1).stale() == "it has not run yet"
    (tmp_path / "out").write_text("made")
    plan(tmp_path, x=1).finish({"things": 1})
    assert plan(tmp_path, x=1).stale() is None
    assert plan(tmp_path, x=2).stale() == "its settings have changed"
    (tmp_path / "in" / "b").write_text("new")
    assert "input" in str(plan(tmp_path, x=1).stale())
    (tmp_path / "in" / "b").unlink()
    assert plan(tmp_path, x=1).stale() is None
    (tmp_path / "out").write_text("edited")
    assert "output" in str(plan(tmp_path, x=1).stale())
    (tmp_path / "out").unlink()
    assert "output" in str(plan(tmp_path, x=1).stale())


def test_a_touched_file_with_the_same_bytes_is_unchanged(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("1")
    (tmp_path / "out").write_text("2")
    plan(tmp_path).finish({})
    (tmp_path / "in").write_text("1")
    assert plan(tmp_path).stale() is None


def test_a_broken_manifest_means_that_the_stage_runs(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"stage": ')
    assert plan(tmp_path).stale() == "it has not run yet"


def test_settings_hash_alike_in_any_order() -> None:
    assert hash_settings({"a": 1, "b": Path("x")}) == hash_settings({"b": Path("x"), "a": 1})
