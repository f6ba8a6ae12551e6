"""Promote, roll back, retire: the register decides, and the twin's own name in the runtime follows.

In: a version or a twin. Out: a champion, in the register and as `twin:latest`. The register is changed first, in one transaction:
a running server reads it at each request. Then the name moves, for `ollama run` and everybody else who asks for it. A run that
is killed between the two leaves a name that still answers, as the earlier champion; `mend`, which every command about
versions begins with, moves it. What a killed deploy left unrecorded is recorded by `mend` too: the later decision stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from blogtwin.config import Settings
from blogtwin.errors import InputError, ModelError, RuntimeUnavailable
from blogtwin.feedback.versions import Versions
from blogtwin.records import Deployment
from blogtwin.runtimes.base import Runtime
from blogtwin.runtimes.choose import all_runtimes, choose
from blogtwin.service_records import Version
from blogtwin.stages import leftovers, lineage, versions
from blogtwin.workspace import Workspace, deployments, find_deployment, save_deployment


def promote(settings: Settings, register: Versions, name: str, why: str) -> tuple[Version, list[str]]:
    """Make `name` the champion of its twin; returns it, and what a user should know.

    Raises InputError: an unknown or retired version, or one that the runtime does not have any more.
    """
    notes = list(mend(settings, register, versions.family(name)))
    found = register.find(name)
    if found is not None and found.state != "retired":
        _there(settings, found)
    champion = register.promote(name, why)
    notes += _named(settings, champion)
    return champion, [*notes, *leftovers.clear(settings, register, champion.twin)]


def rollback(settings: Settings, register: Versions, twin: str, why: str) -> tuple[Version, list[str]]:
    """Make the champion before this one champion again; returns it, and what a user should know.

    Raises InputError: there was none, or the runtime does not have it any more.
    """
    notes = list(mend(settings, register, twin))
    back = register.find(register.earlier(twin) or "")
    if back is not None:
        _there(settings, back)
    champion = register.rollback(twin, why)
    return champion, [*notes, *_named(settings, champion)]


def traffic(settings: Settings, register: Versions, twin: str, shares: Mapping[str, int], why: str) -> None:
    """Set shares, as Versions.traffic does and raises; InputError too for a version that the runtime does not have any more."""
    known = [version for name, share in shares.items() if share and (version := register.find(name))]

    def there(connection: object) -> None:
        for version in known:
            _there(settings, version)

    register.traffic(twin, shares, why, also=there)


def mend(settings: Settings, register: Versions, twin: str | None = None) -> Iterator[str]:
    """Finish what a killed command left half done, for one twin or all; tells what it did. Idle otherwise, and quick.

    A dated deployment that is not in the register is recorded: a candidate, or the champion where the twin's name stands for it.
    A name that stands for another version than the champion moves to it; where the deploy came later than the champion did,
    the champion is the one that has to change.
    """
    known = {one.name: one for one in register.list(twin)}
    here = Workspace.here(settings)
    ours = [one for one in deployments() if twin in (None, versions.family(one.name))]
    for dated in (one for one in ours if one.name == one.version and one.name not in known):
        try:
            version, _ = lineage.record(register, dated, here)
        except ModelError:  # its adapter folder is gone; it goes on serving under its name
            continue
        known[version.name] = version
        yield f"{version.name} was deployed and not recorded: it is now"
    for family in sorted({one.twin for one in known.values()}):
        yield from _agreed(settings, register, family, known)


def _agreed(settings: Settings, register: Versions, twin: str, known: dict[str, Version]) -> Iterator[str]:
    """Let the twin's name and the champion be the same."""
    named, champion = find_deployment(twin), register.champion(twin)
    stands_for = known.get(named.version or "") if named else None
    if stands_for is None or (champion and stands_for.name == champion.name):
        return
    dated = find_deployment(stands_for.name)
    deployed = dated.deployed_at if dated and dated.deployed_at else stands_for.created_at
    if champion is None or deployed > champion.state_since:
        if stands_for.state == "retired" and dated:
            lineage.record(register, dated, Workspace.here(settings))
        register.promote(
            stands_for.name, f"{twin}:latest stands for it: its deploy had been cut off before this was written"
        )
        yield f"{stands_for.name} is the champion, as {twin}:latest stands for it"
        return
    yield f"{twin}:latest still stood for {stands_for.name}: moved to the champion, {champion.name}"
    yield from _named(settings, champion)


def _named(settings: Settings, champion: Version) -> Iterator[str]:
    """Let the twin's own name stand for its champion, in the champion's runtime and nowhere else."""
    name = f"{champion.twin}:latest"
    dated, before = find_deployment(champion.name), find_deployment(name)
    if dated is None:
        yield f"{name} was left as it is: {champion.name} is not in service here"
        return
    try:
        runtime = _runtime(settings, dated)
        runtime.copy(champion.name, name)
        save_deployment(dated.model_copy(update={"name": name}))
        save_deployment(dated.model_copy(update={"deployed_at": datetime.now(UTC)}))  # it took a name: the newest again
        if before and before.runtime != dated.runtime:
            yield from filter(None, [versions.leave(before, all_runtimes(settings.deployment.ollama_base_url))])
    except RuntimeUnavailable as fault:  # the register stands, and so does the server; the name follows
        yield f"{name} still stands for the version before: {fault.message}; moved by the next: blogtwin models list"


def _there(settings: Settings, version: Version) -> None:
    """Raises InputError when `version` cannot be served any more."""
    dated = find_deployment(version.name)
    if dated is None or version.name not in _runtime(settings, dated).names():
        raise InputError(
            f"{version.name} is no longer in {version.runtime}",
            f"deploy it again: blogtwin deploy --model-path {version.adapter} --model-name {version.twin}"
            if Path(version.adapter).is_dir()
            else f"see those there are: blogtwin models list {version.twin}",
        )


def _runtime(settings: Settings, dated: Deployment) -> Runtime:
    return choose(dated.runtime, settings.deployment.ollama_base_url, settings.machine.threads)
