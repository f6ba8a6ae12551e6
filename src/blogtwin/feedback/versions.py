"""The register of versions: which model serves whom, what it was made of, and which posts it saw.

In: proved versions, and decisions about them. Out: who is champion, who challenges it and with what share, and what became of
each. Every decision is one transaction, and leaves an event that says why; a server that asks again for each request follows at
once. A version belongs to one twin, and no decision about a twin touches another's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select, update

from blogtwin.errors import InputError, UsageError
from blogtwin.feedback import tables
from blogtwin.records import Record
from blogtwin.service_records import State, Version

if TYPE_CHECKING:
    from blogtwin.feedback.database import Database

_VERSIONS, _POSTS, _EVENTS = tables.versions, tables.version_posts, tables.version_events
SERVING: tuple[State, ...] = ("champion", "challenger")


class SeenPost(Record):
    """A post that a version was trained on. path: relative to the blog folder or export."""

    post_id: str
    path: str
    title: str


class Event(Record):
    """What became of a version. event: recorded, challenges, share, promoted, rolled back or retired.

    before: the champion that it took over from, where it took over.
    """

    twin: str
    version: str
    event: str
    why: str
    before: str | None
    at: datetime


class Versions:
    """The versions of all twins in one database. Every method raises StoreError when the database cannot be used."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def record(self, version: Version, posts: Iterable[SeenPost] = ()) -> Version:
        """Keep a proved version as a candidate, with the posts it saw; returns its row.

        One that serves already keeps its state and share, and only what describes it is renewed. One that was retired is a
        candidate again.
        """
        row = version.model_dump()
        with self.database.writing() as connection:
            there = self._row(connection, version.name)
            if there is None:
                connection.execute(insert(_VERSIONS).values(row | {"state": "candidate", "share": 0}))
                self._event(connection, version, "recorded", f"trained with {version.method} and proved")
            else:
                kept = {} if there.state != "retired" else {"state": "candidate", "share": 0, "state_since": _now()}
                fixed = ("name", "twin", "created_at", "state", "share", "state_since")
                renewed = {key: value for key, value in row.items() if key not in fixed} | kept
                connection.execute(update(_VERSIONS).where(_VERSIONS.c.name == version.name).values(renewed))
                if kept:
                    self._event(connection, version, "recorded", "deployed and proved again")
                connection.execute(delete(_POSTS).where(_POSTS.c.version == version.name))
            unique = {post.post_id: post for post in posts}
            if unique:
                rows = [{"version": version.name, **post.model_dump()} for post in unique.values()]
                connection.execute(insert(_POSTS), rows)
            return self._of(connection, version.name)

    def measured(self, name: str, figures: Mapping[str, float]) -> None:
        """Add what an evaluation found to a version's metrics. Raises InputError for an unknown version."""
        with self.database.writing() as connection:
            metrics = self._of(connection, name, locked=True).metrics | dict(figures)
            connection.execute(update(_VERSIONS).where(_VERSIONS.c.name == name).values(metrics=metrics))

    def list(self, twin: str | None = None) -> Sequence[Version]:
        """All versions, or those of one twin: the newest first."""
        query = select(_VERSIONS).order_by(_VERSIONS.c.created_at.desc(), _VERSIONS.c.name)
        with self.database.reading() as connection:
            rows = connection.execute(query if twin is None else query.where(_VERSIONS.c.twin == twin))
            return [Version.model_validate(dict(row._mapping)) for row in rows]

    def find(self, name: str) -> Version | None:
        """The version of that dated name."""
        with self.database.reading() as connection:
            return self._row(connection, name)

    def known(self, name: str) -> Version:
        """The version of that dated name. Raises InputError when there is none."""
        with self.database.reading() as connection:
            return self._of(connection, name)

    def champion(self, twin: str) -> Version | None:
        """The version that `twin:latest` stands for; None: none was recorded yet."""
        return next((one for one in self.serving(twin) if one.state == "champion"), None)

    def serving(self, twin: str) -> Sequence[Version]:
        """Champion and challengers: what feedback/routing.py chooses from. One query."""
        query = select(_VERSIONS).where(_VERSIONS.c.twin == twin, _VERSIONS.c.state.in_(SERVING))
        with self.database.reading() as connection:
            return [Version.model_validate(dict(row._mapping)) for row in connection.execute(query)]

    def wanted(self, twin: str, name: str) -> Version:
        """The version `name`, for a client that asks for it. Raises InputError: unknown, another twin's, or retired."""
        with self.database.reading() as connection:
            found = self._of(connection, name)
            if found.twin != twin:
                raise InputError(f"{name} is a version of {found.twin}, not of {twin}", f"blogtwin models list {twin}")
            if found.state == "retired":
                champion = self._champion(connection, twin)
                now = f"ask for {champion.name}, or for {twin}" if champion else f"see: blogtwin models list {twin}"
                raise InputError(f"{name} is retired and no longer serves", now)
        return found

    def promote(self, name: str, why: str) -> Version:
        """Make a candidate or challenger the champion; the one before it is retired, and kept for a rollback.

        Other challengers keep their shares. Nothing happens to one that is champion already. Raises InputError for an unknown
        or retired version.
        """
        with self.database.writing() as connection:
            version = self._of(connection, name, locked=True)
            if version.state == "retired":
                raise InputError(
                    f"{name} is retired",
                    f"go back one version with: blogtwin models rollback {version.twin}{_again(version, '')}",
                )
            if version.state != "champion":
                self._crown(connection, version, "promoted", why)
            return self._of(connection, name)

    def rollback(self, twin: str, why: str) -> Version:
        """Make the champion before this one champion again; returns it. Raises InputError when there was none."""
        with self.database.writing() as connection:
            back = self._of(connection, self._earlier(connection, twin), locked=True)
            self._crown(connection, back, "rolled back", why)
            return self._of(connection, back.name)

    def earlier(self, twin: str) -> str | None:
        """The champion that a rollback would go back to; None: there is none."""
        with self.database.reading() as connection:
            try:
                return self._earlier(connection, twin)
            except InputError:
                return None

    def needed(self, twin: str) -> frozenset[str]:
        """The versions whose models must stay: those that serve or may, and the one that a rollback would go back to."""
        earlier = self.earlier(twin)
        kept = {one.name for one in self.list(twin) if one.state != "retired"}
        return frozenset(kept | {earlier} if earlier else kept)

    def traffic(
        self,
        twin: str,
        shares: Mapping[str, int],
        why: str = "by hand",
        also: Callable[[Connection], object] | None = None,
    ) -> Sequence[Version]:
        """Set shares of `twin`'s requests, in per cent; returns who serves then. also: done in the same transaction.

        Versions that are not named keep theirs, and the champion has what the challengers leave; where it is named too, all must
        add up to 100. A candidate with a share is a challenger, a challenger with 0 a candidate. Raises UsageError for shares
        that cannot be, InputError for versions that are unknown, retired or another twin's.
        """
        with self.database.writing() as connection:
            champion = self._champion(connection, twin, locked=True)
            if champion is None:
                raise InputError(f"{twin} has no champion", f"deploy one: blogtwin deploy --model-name {twin}")
            named = [self._of(connection, name, locked=True) for name in shares]
            after = _shares(champion, [*self._serving(connection, twin), *named], shares)
            for version in named:
                if version.state != "champion":
                    self._give(connection, version, after[version.name], why)
            self._share(connection, champion.name, after[champion.name])
            if also:
                also(connection)
        return self.serving(twin)

    def retire(self, name: str, why: str) -> Version:
        """Let a candidate or challenger serve no longer; the champion has its share. Nothing happens to a retired one.

        Raises InputError for an unknown version, UsageError for the champion, which something has to follow.
        """
        with self.database.writing() as connection:
            version = self._of(connection, name, locked=True)
            if version.state == "champion":
                raise UsageError(
                    f"{name} is the champion of {version.twin}",
                    f"let another take over first: blogtwin models rollback {version.twin}, or models promote NAME",
                )
            if version.state != "retired":
                self._state(connection, name, "retired", 0)
                self._event(connection, version, "retired", why)
                self._rest_to_champion(connection, version.twin)
            return self._of(connection, name)

    def exposed(self, post: str) -> dict[str, tuple[SeenPost, Sequence[Version]]]:
        """Which versions were trained on a post, by the post's id; several posts where `post` is a title or the end of a path.

        post: its id, its title, its path, or a path that ends with it.
        """
        name = post.replace("\\", "/").rpartition("/")[2]
        wanted = (_POSTS.c.post_id == post) | (_POSTS.c.title == post) | _POSTS.c.path.endswith(name, autoescape=True)
        query = select(_POSTS.c.post_id, _POSTS.c.path, _POSTS.c.title, _VERSIONS)
        query = query.join(_VERSIONS, _VERSIONS.c.name == _POSTS.c.version).where(wanted)
        posts: dict[str, SeenPost] = {}
        exposed: dict[str, tuple[Version, ...]] = {}
        with self.database.reading() as connection:
            for row in connection.execute(query.order_by(_POSTS.c.path, _VERSIONS.c.created_at)):
                fields = dict(row._mapping)
                seen = SeenPost.model_validate({key: fields.pop(key) for key in SeenPost.model_fields})
                if post in (seen.post_id, seen.title) or _same_path(post, seen.path):
                    posts[seen.post_id] = seen
                    exposed[seen.post_id] = (*exposed.get(seen.post_id, ()), Version.model_validate(fields))
        return {post_id: (posts[post_id], versions) for post_id, versions in exposed.items()}

    def saw(self, name: str) -> Sequence[SeenPost]:
        """The posts that a version was trained on, by path."""
        query = select(_POSTS.c.post_id, _POSTS.c.path, _POSTS.c.title).where(_POSTS.c.version == name)
        with self.database.reading() as connection:
            rows = connection.execute(query.order_by(_POSTS.c.path))
            return [SeenPost.model_validate(dict(row._mapping)) for row in rows]

    def events(self, twin: str | None = None) -> Sequence[Event]:
        """What became of a twin's versions, the oldest first."""
        columns = [column for column in _EVENTS.c if column.name != "number"]
        query = select(*columns).order_by(_EVENTS.c.number)
        with self.database.reading() as connection:
            rows = connection.execute(query if twin is None else query.where(_EVENTS.c.twin == twin))
            return [Event.model_validate(dict(row._mapping)) for row in rows]

    # Below, everything happens inside a transaction of one of the above.

    def _row(self, connection: Connection, name: str, locked: bool = False) -> Version | None:
        query = select(_VERSIONS).where(_VERSIONS.c.name == name)
        row = connection.execute(query.with_for_update() if locked else query).first()
        return None if row is None else Version.model_validate(dict(row._mapping))

    def _of(self, connection: Connection, name: str, locked: bool = False) -> Version:
        found = self._row(connection, name, locked)
        if found is None:
            family = name.partition(":")[0]
            raise InputError(f"no version named {name} was recorded", f"see: blogtwin models list {family}")
        return found

    def _serving(self, connection: Connection, twin: str, locked: bool = False) -> Sequence[Version]:
        query = select(_VERSIONS).where(_VERSIONS.c.twin == twin, _VERSIONS.c.state.in_(SERVING))
        rows = connection.execute(query.with_for_update() if locked else query)
        return [Version.model_validate(dict(row._mapping)) for row in rows]

    def _champion(self, connection: Connection, twin: str, locked: bool = False) -> Version | None:
        return next((one for one in self._serving(connection, twin, locked) if one.state == "champion"), None)

    def _earlier(self, connection: Connection, twin: str) -> str:
        champion = self._champion(connection, twin)
        if champion is None:
            raise InputError(f"{twin} has no champion", f"deploy one: blogtwin deploy --model-name {twin}")
        came = (_EVENTS.c.version == champion.name, _EVENTS.c.event == "promoted")
        last = connection.execute(select(_EVENTS.c.before).where(*came).order_by(_EVENTS.c.number.desc())).scalar()
        if last is None or self._row(connection, last) is None:
            raise InputError(
                f"{champion.name} is the first champion of {twin}: there is nothing to roll back to",
                f"promote another with: blogtwin models promote NAME; those there are: blogtwin models list {twin}",
            )
        return str(last)

    def _crown(self, connection: Connection, version: Version, event: str, why: str) -> None:
        before = self._champion(connection, version.twin, locked=True)
        if before is not None:
            self._state(connection, before.name, "retired", 0)
            self._event(connection, before, "retired", f"{version.name} took over")
        self._state(connection, version.name, "champion", 0)
        self._rest_to_champion(connection, version.twin)
        self._event(connection, version, event, why, before.name if before else None)

    def _give(self, connection: Connection, version: Version, share: int, why: str) -> None:
        if share == version.share:
            return
        event = "share" if version.state == "challenger" and share else "challenges" if share else "share"
        if version.state == "challenger" and share:
            self._share(connection, version.name, share)
        else:
            self._state(connection, version.name, "challenger" if share else "candidate", share)
        self._event(connection, version, event, f"{share}% of the requests: {why}")

    def _rest_to_champion(self, connection: Connection, twin: str) -> None:
        serving = self._serving(connection, twin)
        challengers = sum(one.share for one in serving if one.state == "challenger")
        for champion in (one for one in serving if one.state == "champion"):
            self._share(connection, champion.name, 100 - challengers)

    def _share(self, connection: Connection, name: str, share: int) -> None:
        connection.execute(update(_VERSIONS).where(_VERSIONS.c.name == name).values(share=share))

    def _state(self, connection: Connection, name: str, state: State, share: int) -> None:
        changed = {"state": state, "share": share, "state_since": _now()}
        connection.execute(update(_VERSIONS).where(_VERSIONS.c.name == name).values(changed))

    def _event(self, connection: Connection, version: Version, event: str, why: str, before: str | None = None) -> None:
        row = Event(twin=version.twin, version=version.name, event=event, why=why, before=before, at=_now())
        connection.execute(insert(_EVENTS).values(row.model_dump()))


def _shares(champion: Version, versions: Sequence[Version], wanted: Mapping[str, int]) -> dict[str, int]:
    """The shares after a change, by name, the champion's with them; they add up to 100. versions: all serving and all named."""
    after = {one.name: one.share for one in versions if one.name != champion.name}
    for version in versions:
        if version.twin != champion.twin:
            raise InputError(
                f"{version.name} is a version of {version.twin}, not of {champion.twin}",
                f"see: blogtwin models list {champion.twin}",
            )
        if version.state == "retired":
            raise InputError(
                f"{version.name} is retired and takes no requests",
                f"see those there are: blogtwin models list {version.twin}{_again(version, '--challenger ')}",
            )
    for name, share in wanted.items():
        if not 0 <= share <= 100:
            raise UsageError(
                f"{name}={share}: a share is from 0 to 100 per cent", "for example: models traffic NAME=10"
            )
        after[name] = share
    challengers = sum(share for name, share in after.items() if name != champion.name)
    told = ", ".join(f"{name} {share}%" for name, share in after.items() if share)
    if champion.name in wanted and challengers + wanted[champion.name] != 100:
        raise UsageError(
            f"the shares add up to {challengers + wanted[champion.name]}%, not to 100: {told}",
            f"leave out the champion, {champion.name}: it has what the others leave",
        )
    if challengers > 100:
        raise UsageError(
            f"the challengers of {champion.twin} would have {challengers}% of its requests: {told}",
            "take from one of them in the same command: blogtwin models traffic NAME=SHARE NAME=SHARE",
        )
    return after | {champion.name: 100 - challengers}


def _again(version: Version, flag: str) -> str:
    """The end of a hint; nothing where the version's folder was removed."""
    if not Path(version.adapter).is_dir():
        return ""
    return f"; or deploy it again: blogtwin deploy {flag}--model-path {version.adapter} --model-name {version.twin}"


def _same_path(asked: str, path: str) -> bool:
    """Whether one of two paths ends with the other, folder by folder."""
    one, other = (
        [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")] for name in (asked, path)
    )
    shorter = min(len(one), len(other))
    return shorter > 0 and one[-shorter:] == other[-shorter:]


def _now() -> datetime:
    return datetime.now(UTC)
