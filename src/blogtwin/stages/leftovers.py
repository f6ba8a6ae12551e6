"""What no version needs any more goes: old versions from the runtime, and the folders that turns of learning have made.

In: the register, what is deployed, and what turns recorded as theirs (turn.py). Out: room on the disk, and a sentence for each
thing that was removed. Nothing else is ever removed: no folder that a user trained in, and none that anything is deployed from.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from blogtwin.config import Settings
from blogtwin.errors import BlogtwinError, RuntimeUnavailable
from blogtwin.feedback import twins
from blogtwin.feedback.versions import Versions
from blogtwin.records import Deployment
from blogtwin.runtimes.base import Runtime
from blogtwin.runtimes.choose import choose
from blogtwin.service_records import Version
from blogtwin.stages import versions
from blogtwin.stages.turn import Place
from blogtwin.workspace import deployments, forget_deployment


def clear(
    settings: Settings, register: Versions, twin: str, place: Place | None = None, given_up: Collection[str] = ()
) -> Iterator[str]:
    """Remove what nobody needs of `twin`, after a promotion or a turn; tells what it did, and what could not be done.

    Of versions more than deployment.keep, those that neither serve nor may, nor are what a rollback would go back to; candidates
    are retired for it. The version that was refused last, and those that were `given_up`. Then the folders of turns; see
    `_folders`. Nothing while a turn is open, which does this at its end. place: of its turns; None: where the twin lives.
    """
    try:
        place = place or _place(register, twin)
        if place is None:
            return
        made = place.made()  # before the open turn is asked for: a turn that begins meanwhile has made none of them
        if place.open_turn():
            return
        refused = place.refused()
        unwanted = {*given_up, *([refused.version] if refused else ())}
        yield from _versions(settings, register, twin, unwanted)
        yield from _folders(register, twin, place, made)
    except (BlogtwinError, OSError) as fault:
        yield f"what is old was not all removed: {getattr(fault, 'message', fault)}"


def _place(register: Versions, twin: str) -> Place | None:
    folder = twins.folders(register.database).get(twin)
    return None if folder is None else Place(twin, folder / "models")


def _versions(settings: Settings, register: Versions, twin: str, unwanted: Collection[str]) -> Iterator[str]:
    """Old versions leave their runtimes, and the unwanted at once."""
    known = {one.name: one for one in register.list(twin)}
    dated = [one for one in deployments() if one.name == one.version and versions.family(one.name) == twin]
    keep = settings.deployment.keep
    newest = sorted(dated, key=lambda one: (str(one.deployed_at), one.name), reverse=True)
    named = {one.version for one in deployments() if one.name != one.version}
    for one in newest[keep:]:
        if one.name in known and known[one.name].state == "candidate" and one.name not in named:
            register.retire(one.name, f"never served, and {keep} newer versions are kept (deployment.keep)")
    needed = register.needed(twin)
    for name in sorted({one.runtime for one in dated}):
        try:
            runtime = choose(name, settings.deployment.ollama_base_url, settings.machine.threads)
            retired = [one for one in known.values() if one.name in unwanted and one.state == "retired"]
            gone = [*_removed(runtime, retired, needed), *versions.retire(runtime, twin, keep, needed)]
        except RuntimeUnavailable as fault:
            yield f"older versions were not removed from {name}: {fault.message}"
            continue
        if gone:
            yield f"removed from {name}, as nobody needs them any more: {', '.join(gone)}"


def _removed(runtime: Runtime, wanted: Collection[Version], needed: Collection[str]) -> Iterator[str]:
    """Take these versions out of the runtime; not one that a name of the user's stands for."""
    there = deployments()
    for version in wanted:
        named = any(one.version == version.name != one.name for one in there)
        here = any((one.name, one.runtime) == (version.name, runtime.name) for one in there)
        if here and not named and version.name not in needed:
            runtime.remove(version.name)
            forget_deployment(version.name)
            yield version.name


def _folders(register: Versions, twin: str, place: Place, made: dict[str, str]) -> Iterator[str]:
    """The folders of a turn go when nothing is deployed from them, and no version that is there was trained on from them.

    made: folder → its turn; of a turn that has a version, those that led to it stay, and those of its refused versions do not.
    Of those that are the parent of a version that is there, deploy/ goes, with the model of gigabytes.
    """
    needed, there = register.needed(twin), deployments()
    known = register.list(twin)
    alive = {Path(one.adapter).name for one in known if one.name in needed} | {Path(one.adapter).name for one in there}
    living = {one.parent for one in known if one.name in needed or _deployed(one, there)} - {None}
    parents = {Path(one.adapter).name for one in known if one.name in living}
    ends = {Path(one.adapter).name for one in known}
    serving = {turn for name, turn in made.items() if name in alive}
    learned_from = {turn for name, turn in made.items() if name in parents}
    for name, turn in sorted(made.items()):
        if name in alive or (turn in serving and name not in ends):
            continue
        folder = place.models / name
        learned = name in parents or (turn in learned_from and name not in ends)
        gone = folder / "deploy" if learned else folder
        if gone.is_dir():
            megabytes = sum(file.stat().st_size for file in gone.rglob("*") if file.is_file()) / 1e6
            shutil.rmtree(gone)
            yield f"removed {gone} ({megabytes:,.0f} MB), which no version needs any more"
        if not learned:
            place.forget(name)


def _deployed(version: Version, there: Collection[Deployment]) -> bool:
    return any(version.name in (one.name, one.version) for one in there)
