"""The register of versions, the same in SQLite and PostgreSQL, and the routing of requests by share."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from blogtwin.errors import BlogtwinError, InputError, UsageError
from blogtwin.feedback.database import Database
from blogtwin.feedback.routing import route
from blogtwin.feedback.versions import SeenPost, Versions
from blogtwin.service_records import Version

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
POST = SeenPost(post_id="1" * 16, path="2026/snow_100%.md", title="Snow")


def version(name: str, **changes: object) -> Version:
    """A version as a deploy records it; later letters are newer."""
    made = Version(
        name=name,
        twin=name.partition(":")[0],
        runtime="llama-cpp",
        adapter="/models/my-twin",
        base_model="tiny",
        base_hash="b" * 16,
        method="sft",
        data_hash="d" * 16,
        settings_hash="s" * 16,
        sizes={"megabytes": 1.5},
        metrics={"best_loss": 2.0},
        created_at=NOON + timedelta(seconds=ord(name[-1])),
        state_since=NOON,
    )
    return made.model_copy(update=changes)


@pytest.fixture
def register(database_url: str) -> Iterator[Versions]:
    database = Database.open(database_url)
    yield Versions(database)
    database.close()


@pytest.fixture
def three(register: Versions) -> Versions:
    """my-twin:a is champion, b and c are candidates; another twin has a champion of its own."""
    for letter in "abc":
        register.record(version(f"my-twin:{letter}"), [POST])
    register.record(version("other:x"))
    register.promote("my-twin:a", "the first")
    register.promote("other:x", "the first")
    return register


def _states(register: Versions, twin: str = "my-twin") -> dict[str, tuple[str, int]]:
    return {one.name.partition(":")[2]: (one.state, one.share) for one in register.list(twin)}


def test_a_version_comes_back_as_it_was_recorded(register: Versions) -> None:
    made = version("my-twin:a", parent="my-twin:0")
    assert register.record(made, [POST, POST]) == made
    assert register.find("my-twin:a") == made
    assert register.saw("my-twin:a") == [POST]
    assert register.find("my-twin:b") is None
    assert register.champion("my-twin") is None


def test_recording_again_renews_what_describes_it_and_leaves_who_serves(three: Versions) -> None:
    three.record(version("my-twin:a", adapter="/moved", metrics={"voice": 0.8}), [])
    assert _states(three)["a"] == ("champion", 100)
    assert three.known("my-twin:a").adapter == "/moved"
    assert three.known("my-twin:a").metrics == {"voice": 0.8}
    assert three.saw("my-twin:a") == []


def test_the_champion_has_what_the_challengers_leave(three: Versions) -> None:
    three.traffic("my-twin", {"my-twin:b": 10})
    three.traffic("my-twin", {"my-twin:c": 30}, "second")
    assert _states(three) == {"a": ("champion", 60), "b": ("challenger", 10), "c": ("challenger", 30)}
    three.traffic("my-twin", {"my-twin:b": 0, "my-twin:c": 50, "my-twin:a": 50})
    assert _states(three) == {"a": ("champion", 50), "b": ("candidate", 0), "c": ("challenger", 50)}
    three.retire("my-twin:c", "worse")
    assert _states(three)["a"] == ("champion", 100)
    assert _states(three, "other") == {"x": ("champion", 100)}
    told = [(one.event, one.version[-1]) for one in three.events("my-twin")][4:]
    assert told == [("challenges", "b"), ("challenges", "c"), ("share", "b"), ("share", "c"), ("retired", "c")]


def test_growing_keeps_the_time_since_when_it_challenges(three: Versions) -> None:
    three.traffic("my-twin", {"my-twin:b": 10})
    since = three.known("my-twin:b").state_since
    three.traffic("my-twin", {"my-twin:b": 50})
    assert three.known("my-twin:b").state_since == since, "what readers said since then still counts"


def test_a_promotion_retires_the_champion_and_leaves_the_other_challengers(three: Versions) -> None:
    three.traffic("my-twin", {"my-twin:b": 10, "my-twin:c": 20})
    champion = three.promote("my-twin:b", "liked more")
    assert (champion.state, champion.share) == ("champion", 80)
    assert _states(three) == {"a": ("retired", 0), "b": ("champion", 80), "c": ("challenger", 20)}
    last = three.events("my-twin")[-1]
    assert (last.event, last.version, last.before, last.why) == ("promoted", "my-twin:b", "my-twin:a", "liked more")
    events = len(three.events())
    three.promote("my-twin:b", "again")
    assert len(three.events()) == events


def test_rolling_back_goes_from_champion_to_champion(three: Versions) -> None:
    three.promote("my-twin:b", "better")
    three.promote("my-twin:c", "better still")
    assert three.earlier("my-twin") == "my-twin:b"
    assert three.rollback("my-twin", "worse").name == "my-twin:b"
    assert three.rollback("my-twin", "worse again").name == "my-twin:a", "and not back to the one it came from"
    with pytest.raises(InputError, match="nothing to roll back to"):
        three.rollback("my-twin", "once more")
    assert _states(three) == {"a": ("champion", 100), "b": ("retired", 0), "c": ("retired", 0)}
    assert _states(three, "other") == {"x": ("champion", 100)}


def test_what_may_be_needed_again_is_named(three: Versions) -> None:
    three.traffic("my-twin", {"my-twin:c": 10})
    three.promote("my-twin:b", "better")
    assert three.needed("my-twin") == {"my-twin:a", "my-twin:b", "my-twin:c"}
    three.retire("my-twin:c", "worse")
    assert three.needed("my-twin") == {"my-twin:a", "my-twin:b"}
    assert three.needed("other") == {"other:x"}


@pytest.mark.parametrize(
    ("act", "error", "says"),
    [
        (lambda one: one.promote("my-twin:d", ""), InputError, "no version named my-twin:d"),
        (lambda one: one.promote("my-twin:c", ""), InputError, "is retired"),
        (lambda one: one.retire("my-twin:a", ""), UsageError, "is the champion"),
        (lambda one: one.rollback("nobody", ""), InputError, "nobody has no champion"),
        (lambda one: one.rollback("other", ""), InputError, "nothing to roll back to"),
        (lambda one: one.traffic("my-twin", {"my-twin:c": 5}), InputError, "is retired and takes no requests"),
        (lambda one: one.traffic("my-twin", {"other:x": 5}), InputError, "is a version of other, not of my-twin"),
        (lambda one: one.traffic("my-twin", {"my-twin:b": 101}), UsageError, "a share is from 0 to 100"),
        (lambda one: one.traffic("my-twin", {"my-twin:b": -1}), UsageError, "a share is from 0 to 100"),
        (lambda one: one.traffic("my-twin", {"my-twin:a": 80, "my-twin:b": 30}), UsageError, "add up to 110%, not to"),
        (lambda one: one.traffic("my-twin", {"my-twin:a": 80}), UsageError, "add up to 80%, not to 100"),
        (lambda one: one.traffic("nobody", {}), InputError, "nobody has no champion"),
        (lambda one: one.wanted("my-twin", "my-twin:c"), InputError, "is retired and no longer serves"),
        (lambda one: one.wanted("my-twin", "other:x"), InputError, "is a version of other, not of my-twin"),
        (lambda one: one.wanted("my-twin", "my-twin:d"), InputError, "no version named my-twin:d"),
    ],
)
def test_what_cannot_be_is_refused_with_a_remedy_and_changes_nothing(
    three: Versions, act: Callable[[Versions], object], error: type[BlogtwinError], says: str
) -> None:
    three.retire("my-twin:c", "worse")
    before = three.list(), three.events()
    with pytest.raises(error, match=says) as refused:
        act(three)
    assert refused.value.hint
    assert (three.list(), three.events()) == before


def test_challengers_cannot_have_more_than_all(three: Versions) -> None:
    three.traffic("my-twin", {"my-twin:b": 70})
    with pytest.raises(UsageError, match="would have 110% of its requests"):
        three.traffic("my-twin", {"my-twin:c": 40})
    three.traffic("my-twin", {"my-twin:c": 30})
    assert _states(three)["a"] == ("champion", 0)


def test_a_decision_and_what_goes_with_it_are_one_transaction(three: Versions) -> None:
    def fails(connection: Connection) -> None:
        raise RuntimeError

    before = three.list(), three.events()
    with pytest.raises(RuntimeError):
        three.traffic("my-twin", {"my-twin:b": 10}, also=fails)
    assert (three.list(), three.events()) == before


def test_of_two_promotions_at_once_one_champion_comes(three: Versions) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: three.promote(name, "at once"), ["my-twin:b", *["my-twin:b"] * 7]))
    with ThreadPoolExecutor(8) as pool:
        names = ["my-twin:c", "my-twin:b"] * 4

        def promote(name: str) -> None:
            with contextlib.suppress(InputError):  # the other one came first, and has retired it
                three.promote(name, "at once")

        list(pool.map(promote, names))
    assert Counter(state for state, _ in _states(three).values())["champion"] == 1
    assert sum(share for _, share in _states(three).values()) == 100


def test_the_versions_that_saw_a_post(three: Versions) -> None:
    other = SeenPost(post_id="2" * 16, path="2025/snow_1000.md", title="Snow")
    three.record(version("other:x"), [other])
    for asked in (
        "1" * 16,
        "2026/snow_100%.md",
        "snow_100%.md",
        "/home/me/blog/2026/snow_100%.md",
        "2026\\snow_100%.md",
    ):
        found = three.exposed(asked)
        assert {key: [one.name for one in seen] for key, (_, seen) in found.items()} == {
            POST.post_id: ["my-twin:a", "my-twin:b", "my-twin:c"]
        }, asked
    assert set(three.exposed("Snow")) == {POST.post_id, other.post_id}, "a title may be that of several"
    for asked in ("now_100%.md", "2025/snow_100%.md", "snow_100_.md", "", "/"):
        assert three.exposed(asked) == {}, asked


# --- routing


def _serving(**shares: int) -> list[Version]:
    """Challengers in the order in which they began, below a champion that has the rest."""
    challengers = [
        version(f"my-twin:{name}", state="challenger", share=share, state_since=NOON + timedelta(days=day))
        for day, (name, share) in enumerate(shares.items())
    ]
    rest = 100 - sum(shares.values())
    return [version("my-twin:champion", state="champion", share=rest), *challengers]


SESSIONS = [f"session {number}" for number in range(4000)]


def _routed(versions: list[Version]) -> dict[str, str]:
    return {session: route(versions, session).name.partition(":")[2] for session in SESSIONS}


def test_requests_are_shared_as_asked_and_a_session_stays() -> None:
    versions = _serving(b=10, c=25)
    routed = _routed(versions)
    counted = Counter(routed.values())
    for name, share in (("champion", 65), ("b", 10), ("c", 25)):
        assert abs(counted[name] / len(SESSIONS) - share / 100) < 0.02
    assert _routed(versions[::-1]) == routed, "whatever order the versions come in"


def test_a_challenger_that_grows_keeps_its_sessions() -> None:
    before, after = _routed(_serving(b=10, c=10)), _routed(_serving(b=10, c=50))
    assert all(after[session] == "c" for session, name in before.items() if name == "c")
    assert all(after[session] == "b" for session, name in before.items() if name == "b"), "and the older one its own"
    grown = _routed(_serving(b=50, c=10))
    assert all(grown[session] == "b" for session, name in before.items() if name == "b")


def test_a_new_challenger_takes_from_the_champion_alone() -> None:
    before, after = _routed(_serving(b=10, c=50)), _routed(_serving(b=10, c=50, d=10))
    moved = {(before[session], after[session]) for session in SESSIONS if before[session] != after[session]}
    assert moved == {("champion", "d")}


def test_a_version_that_does_not_serve_is_never_chosen() -> None:
    idle = [version("my-twin:x"), version("my-twin:y", state="retired"), version("my-twin:z", state="challenger")]
    assert set(_routed([*idle, *_serving()]).values()) == {"champion"}
    assert set(_routed(_serving(b=100)).values()) == {"b"}
    with pytest.raises(InputError, match="no version is in service"):
        route(idle, "me")


def test_the_same_reader_may_have_different_luck_with_another_twin() -> None:
    ours = _routed(_serving(b=50))
    theirs = {
        session: route([one.model_copy(update={"twin": "other"}) for one in _serving(b=50)], session).name
        for session in SESSIONS
    }
    same = sum(theirs[session].endswith(f":{name}") for session, name in ours.items())
    assert 0.4 < same / len(SESSIONS) < 0.6
