"""What goes when nobody needs it any more, and what stays: folders of turns, told from each other without training any."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blogtwin.config import Settings, load_settings
from blogtwin.feedback import twins
from blogtwin.feedback.versions import Versions
from blogtwin.runtimes import served
from blogtwin.stages import leftovers, lineage
from blogtwin.stages.turn import Place, Turn
from blogtwin.workspace import find_deployment, forget_deployment, save_deployment
from test_rollout import _serve
from test_versions_registry import version

TWIN = "my-twin"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return load_settings(None, {"deployment": {"runtime": "llama-cpp"}})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(TWIN, tmp_path / "models")


def turn(letter: str) -> Turn:
    """Of two lessons."""
    return Turn(
        id=letter * 12,
        twin=TWIN,
        parent=f"{TWIN}:a",
        from_adapter="/nowhere",
        read_at=datetime.now(UTC),
        lessons=("posts", "dpo"),
    )


@pytest.fixture
def register(settings: Settings, place: Place) -> Iterator[Versions]:
    """my-twin:a is the champion, of the pipeline; b was trained on from it, c from b, each in a turn of its own."""
    with lineage.register(settings) as register:
        twins.settle(register.database, TWIN, place.models.parent)
        for letter, parent in (("a", None), ("b", "a"), ("c", "b")):
            folders = [place.models / TWIN]
            if parent:
                folders = [place.make(turn(letter), lesson) for lesson in range(2)]
            for folder in folders:
                (folder / "deploy").mkdir(parents=True)
                (folder / "deploy" / "model.gguf").write_bytes(b"0" * 2_000_000)
                (folder / "adapter_model.safetensors").write_bytes(b"0")
            name = f"{TWIN}:{letter}"
            made = {"adapter": str(folders[-1]), "parent": parent and f"{TWIN}:{parent}"}
            register.record(version(name).model_copy(update=made))
            _serve(name)
            found = find_deployment(name)
            assert found is not None
            save_deployment(found.model_copy(update={"adapter": str(folders[-1])}))
        register.promote(f"{TWIN}:a", "the first")
        yield register


def left(place: Place) -> set[str]:
    return {str(path.relative_to(place.models)) for path in place.models.glob("*") if path.is_dir()} | {
        str(path.parent.relative_to(place.models)) for path in place.models.glob("*/deploy/model.gguf")
    }


def gone(register: Versions, letter: str) -> None:
    """Retired, and out of the runtime."""
    register.retire(f"{TWIN}:{letter}", "worse")
    served.forget(f"{TWIN}:{letter}")
    forget_deployment(f"{TWIN}:{letter}")


def names(letter: str) -> set[str]:
    folder = f"{TWIN}-{letter * 12}"
    return {folder, f"{folder}-posts", f"{folder}/deploy", f"{folder}-posts/deploy"}


OWN = {TWIN, f"{TWIN}/deploy"}


def test_what_is_there_stays(settings: Settings, register: Versions, place: Place) -> None:
    assert list(leftovers.clear(settings, register, TWIN)) == []
    assert left(place) == OWN | names("b") | names("c")


def test_of_a_parent_the_adapter_stays_and_the_model_goes(settings: Settings, register: Versions, place: Place) -> None:
    gone(register, "b")
    told = list(leftovers.clear(settings, register, TWIN))
    assert left(place) == OWN | names("c") | {one for one in names("b") if "deploy" not in one}
    assert len(told) == 2
    assert all("/deploy (2 MB), which no version needs any more" in one for one in told)
    gone(register, "c")
    assert len(list(leftovers.clear(settings, register, TWIN))) == 4
    assert left(place) == OWN
    assert list(leftovers.clear(settings, register, TWIN)) == []


def test_nothing_goes_that_no_turn_recorded_or_that_somebody_serves(
    settings: Settings, register: Versions, place: Place
) -> None:
    found = find_deployment(f"{TWIN}:c")
    assert found is not None
    save_deployment(found.model_copy(update={"name": "mine:latest", "version": "mine:x"}))
    own = place.models / f"{TWIN}-{'d' * 12}"
    (own / "deploy").mkdir(parents=True)
    gone(register, "c")
    assert list(leftovers.clear(settings, register, TWIN)) == []
    assert left(place) == OWN | names("b") | names("c") | {own.name}


def test_while_a_turn_is_open_everything_stays(settings: Settings, register: Versions, place: Place) -> None:
    place.begin(turn("e"), [])
    place.make(turn("e"), 0).mkdir()
    gone(register, "c")
    assert list(leftovers.clear(settings, register, TWIN)) == []
    place.give_up()
    assert len(list(leftovers.clear(settings, register, TWIN))) == 3
    assert left(place) == OWN | names("b")


def test_what_cannot_be_removed_is_told_and_fails_nothing(
    settings: Settings, register: Versions, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> None:
        raise PermissionError(f"{path} is in use")

    gone(register, "c")
    monkeypatch.setattr(leftovers.shutil, "rmtree", refused)
    (told,) = leftovers.clear(settings, register, TWIN)
    assert "was not all removed" in told
    assert "is in use" in told
    monkeypatch.undo()
    assert place.made(), "the next time it goes"
