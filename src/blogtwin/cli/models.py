"""`blogtwin models`: the versions of a twin, who serves whom, and what each was made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from blogtwin.cli import console, options

if TYPE_CHECKING:
    from blogtwin.config import Settings
    from blogtwin.service_records import Version

Name = Annotated[str, typer.Argument(metavar="VERSION", help="A dated name, such as my-twin:2026-11-21-ab12cd.")]
OneTwin = Annotated[
    str | None, typer.Argument(metavar="TWIN", help="A twin's name.", show_default="deployment.model_name")
]
Why = Annotated[str, typer.Option("--why", help="A reason, kept with the decision.")]
BY_HAND = "by hand"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    models = options.group("The versions of a twin, and who serves whom.")
    models.command("list")(list_versions)
    for command in (show, diff, promote, rollback, traffic, retire, exposed):
        models.command()(command)
    app.add_typer(models, name="models")


def list_versions(
    twin: Annotated[str | None, typer.Argument(metavar="TWIN", help="A twin's name.", show_default="all")] = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """All versions: who is champion, who challenges it and with what share of the requests."""
    from blogtwin.stages import lineage, promotion

    settings = _settings(config)
    with lineage.register(settings) as register:
        for note in promotion.mend(settings, register, _family(twin) if twin else None):
            console.remark(note)
        _show(register.list(_family(twin) if twin else None), as_json)


def show(name: Name, config: options.Config = None, as_json: options.Json = False) -> None:
    """What a version was made of, what was measured, and what became of it."""
    from blogtwin.stages import lineage

    settings = _settings(config)
    with lineage.register(settings) as register:
        version = register.known(_full(name, settings))
        posts = register.saw(version.name)
        events = [event for event in register.events(version.twin) if event.version == version.name]
    if as_json:
        lists = {"posts": [post.model_dump() for post in posts], "events": [event.model_dump() for event in events]}
        console.show_json(version.model_dump() | lists)
        return
    fields = version.model_dump(exclude={"sizes", "metrics"})
    rows = {
        key: _minute(value) if isinstance(value, datetime) else str(value) for key, value in fields.items() if value
    }
    figures = {key: console.figure(value) for key, value in (version.sizes | version.metrics).items()}
    told = {key.replace("_", " "): value for key, value in (rows | figures).items()}
    console.pairs(told | {"posts seen": str(len(posts))})
    console.table(["", "", ""], [[_minute(event.at), event.event, event.why] for event in events])


def diff(
    one: Name,
    other: Annotated[str, typer.Argument(metavar="VERSION", help="The version to put beside it.")],
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """What differs between two versions: data, settings, base, posts seen, measures."""
    from blogtwin.feedback.changes import changes
    from blogtwin.stages import lineage

    settings = _settings(config)
    with lineage.register(settings) as register:
        left, right = (register.known(_full(name, settings)) for name in (one, other))
        found = list(changes(left, right, register.saw(left.name), register.saw(right.name)))
    if as_json:
        console.show_json([change._asdict() for change in found])
    elif found:
        console.table(["", left.name, right.name], [list(change) for change in found])
    else:
        console.say("nothing that was recorded differs")


def promote(
    name: Name,
    why: Why = BY_HAND,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Make a version the champion; the one before it is kept for a rollback."""
    from blogtwin.stages import lineage, promotion

    settings = _settings(config)
    with lineage.register(settings) as register:
        champion, notes = promotion.promote(settings, register, _full(name, settings), why)
        _done(f"{champion.name} is the champion of {champion.twin}", notes, register.list(champion.twin), as_json)


def rollback(
    twin: OneTwin = None,
    why: Why = BY_HAND,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Go back to the champion before this one."""
    from blogtwin.stages import lineage, promotion

    settings = _settings(config)
    with lineage.register(settings) as register:
        champion, notes = promotion.rollback(settings, register, _family(twin or settings.deployment.model_name), why)
        _done(f"{champion.name} is the champion of {champion.twin}", notes, register.list(champion.twin), as_json)


def traffic(
    shares: Annotated[list[str], typer.Argument(metavar="VERSION=SHARE…", help="Per cent of the twin's requests.")],
    why: Why = BY_HAND,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Set shares; versions that are not named keep theirs, and the champion has what the others leave."""
    from blogtwin.errors import UsageError
    from blogtwin.stages import lineage, promotion

    settings = _settings(config)
    wanted: dict[str, int] = {}
    for name, share in map(_share, shares):
        if wanted.setdefault(_full(name, settings), share) != share:
            raise UsageError(f"{name} is given two shares", "name each version once")
    twin = _family(next(iter(wanted)))
    with lineage.register(settings) as register:
        notes = list(promotion.mend(settings, register, twin))
        promotion.traffic(settings, register, twin, wanted, why)
        _done(f"the requests for {twin} are shared anew", notes, register.list(twin), as_json)


def retire(
    name: Name,
    why: Why = BY_HAND,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Let a version serve no longer; the champion gets its share."""
    from blogtwin.stages import lineage

    settings = _settings(config)
    with lineage.register(settings) as register:
        version = register.retire(_full(name, settings), why)
        _done(f"{version.name} is retired", [], register.list(version.twin), as_json)


def exposed(
    post: Annotated[str, typer.Option("--post", metavar="ID", help="A post's id, path or title.")],
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Which versions were trained on a post: before it is withdrawn, say."""
    from blogtwin.errors import InputError
    from blogtwin.stages import lineage

    with lineage.register(_settings(config)) as register:
        found = register.exposed(post)
    if not found:
        raise InputError(
            f"no version is known to have seen a post with the id, path or title {post}",
            "ids, paths and titles are those in data/raw_blogs.jsonl; versions: blogtwin models list",
        )
    if as_json:
        told = [seen.model_dump() | {"versions": [one.name for one in versions]} for seen, versions in found.values()]
        console.show_json(told)
        return
    rows = [[seen.path, seen.title, one.name, one.state] for seen, versions in found.values() for one in versions]
    console.table(["post", "title", "version", "state"], rows)


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _settings(config: options.Config) -> Settings:
    from blogtwin.config import load_settings

    return load_settings(config)


def _family(name: str) -> str:
    return name.partition(":")[0]


def _full(name: str, settings: Settings) -> str:
    """A dated name; the tag alone stands for a version of the twin in the settings."""
    return name if ":" in name else f"{_family(settings.deployment.model_name)}:{name}"


def _share(given: str) -> tuple[str, int]:
    """`NAME=10`, taken apart. Raises UsageError."""
    from blogtwin.errors import UsageError

    name, _, share = given.rpartition("=")
    number = share.strip().removesuffix("%")
    if not name or not number.lstrip("-").isdecimal():
        raise UsageError(f"{given!r} is no share of a version", "for example: blogtwin models traffic NAME=10")
    return name.strip(), int(number)


def _done(told: str, notes: Sequence[str], versions: Sequence[Version], as_json: bool) -> None:
    if not as_json:
        console.say(told)
    for note in notes:
        console.remark(f"· {note}")
    _show(versions, as_json)


def _show(versions: Sequence[Version], as_json: bool) -> None:
    if as_json:
        console.show_json([version.model_dump() for version in versions])
        return
    if not versions:
        console.say("no version yet; make one with: blogtwin deploy")
        return
    rows = [
        [one.name, one.state, f"{one.share}%" if one.share else "", one.method, _minute(one.created_at)]
        for one in versions
    ]
    console.table(["version", "state", "share", "method", "made"], rows)
