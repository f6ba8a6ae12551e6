"""The stopping rule, the floor, and a look that carries them out: seldom wrong however often one looks, and soon right."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import comb
from statistics import median

import pytest

import reports
from blogtwin.config import LearningSettings, Settings, load_settings
from blogtwin.feedback.floor import Check, Loss, Measured, floor
from blogtwin.feedback.rollout import Block, Decision, Evidence, Rating, Trial, blocks, decide
from blogtwin.feedback.store import Store
from blogtwin.feedback.versions import Versions
from blogtwin.records import Artifact, Deployment, Sampling
from blogtwin.runtimes import served
from blogtwin.service_records import Draft, Feedback
from blogtwin.stages import lineage, rollout
from blogtwin.workspace import find_deployment, save_deployment
from test_versions_registry import version

LEARNING = LearningSettings()
OCTAVE = 14  # steps of the evidence's grid from odds to twice the odds


def _trial(challenger: float, champion: float, most: int, chance: random.Random) -> tuple[Decision, int]:
    """One simulated challenger from its first share on; how it ended, and after how many ratings."""
    trial = Trial(LEARNING.shares[0], LEARNING.shares, LEARNING.error_rate)
    count = 0

    def said() -> Iterator[Rating]:
        nonlocal count
        while count < most:
            count += 1
            theirs = chance.random() * 100 < trial.decision.share
            yield Rating(theirs, chance.random() < (challenger if theirs else champion))

    for block in blocks(said()):
        if trial.add(block).action in ("promote", "roll back"):
            break
    return trial.decision, count


def _trials(challenger: float, champion: float, most: int, experiments: int) -> list[tuple[Decision, int]]:
    chance = random.Random(f"{challenger} {champion}")
    return [_trial(challenger, champion, most, chance) for _ in range(experiments)]


@pytest.mark.parametrize("liked", [0.5, 0.85])
def test_a_version_that_is_no_better_is_seldom_promoted_though_every_block_is_looked_at(liked: float) -> None:
    ended = _trials(liked, liked, most=1000, experiments=400)
    assert sum(decision.action == "promote" for decision, _ in ended) <= 0.05 * 400
    assert sum(decision.action == "roll back" for decision, _ in ended) <= 0.05 * 400


def test_a_better_version_is_promoted_in_the_end() -> None:
    ended = _trials(0.6, 0.5, most=6000, experiments=100)
    assert all(decision.action == "promote" for decision, _ in ended)
    assert median(count for _, count in ended) < 1100, (
        "a fixed-size test with 10% of the requests takes 1,696 (power 80%)"
    )


def test_a_much_worse_version_never_gets_more_than_its_first_share() -> None:
    ended = _trials(0.2, 0.6, most=3000, experiments=100)
    assert all(decision.action == "roll back" for decision, _ in ended)
    assert median(count for _, count in ended) < 250


@pytest.mark.parametrize(("challenger", "champion", "liked"), [(3, 3, 2), (3, 27, 20), (1, 2, 1), (5, 3, 5), (3, 4, 6)])
@pytest.mark.parametrize("margin", [0, -OCTAVE])
def test_the_evidence_is_a_fair_bet_at_the_null_and_a_losing_one_below(
    challenger: int, champion: int, liked: int, margin: int
) -> None:
    def expected(odds: float) -> float:
        """The mean worth of a bet of 1, over how many of the liked ones are the challenger's."""
        possible = range(max(0, liked - champion), min(challenger, liked) + 1)
        ways = {one: comb(challenger, one) * comb(champion, liked - one) * odds**one for one in possible}
        worth = 0.0
        for theirs, weight in ways.items():
            evidence = Evidence()
            evidence.add(Block(challenger, champion, liked, theirs))
            worth += weight / sum(ways.values()) * evidence.above(margin)
        return worth

    null = 2 ** (margin / OCTAVE)
    assert expected(null) == pytest.approx(1, abs=1e-9)
    assert expected(null * 0.8) < 1 < expected(null * 1.25)


def test_blocks_end_where_both_versions_have_three_ratings_whatever_these_are() -> None:
    chance = random.Random(3)
    sides = [chance.random() < 0.2 for _ in range(500)]
    ends = []
    for liked in (0.1, 0.9):
        found = list(blocks(Rating(side, chance.random() < liked) for side in sides))
        assert all(min(one.challenger, one.champion) >= 3 for one in found)
        assert all(0 <= one.theirs <= one.challenger and one.theirs <= one.liked for one in found)
        ends.append([(one.challenger, one.champion) for one in found])
    assert ends[0] == ends[1]
    assert list(blocks([Rating(True, True)] * 100)) == [], "nothing to compare them with"


def test_what_is_decided_does_not_depend_on_how_often_one_looks() -> None:
    chance = random.Random(5)
    found = [Block(3, 27, 15 + chance.randrange(3), 3) for _ in range(60)]
    seen = [decide(found[:end], 10, LEARNING.shares, 0.05) for end in range(61)]
    first = next(end for end, one in enumerate(seen) if one.action == "promote")
    assert seen[-1] == seen[first], "what comes after the decision changes nothing"
    assert [one.action for one in seen[: first + 1]] == sorted((one.action for one in seen[: first + 1]), key=_order)
    assert seen[0].action == "wait"


def _order(action: str) -> int:
    return ["wait", "share", "promote"].index(action)


def test_choices_between_both_versions_count() -> None:
    theirs = [Block(1, 1, 1, 1)] * 14
    assert decide(theirs, 10, LEARNING.shares, 0.05).action == "promote"
    assert decide([Block(1, 1, 1, 0)] * 14, 10, LEARNING.shares, 0.05).action == "roll back"
    assert decide([Block(1, 1, 1, 1), Block(1, 1, 1, 0)] * 7, 10, LEARNING.shares, 0.05).action == "wait"


def test_every_share_asks_for_more() -> None:
    shares = (5, 10, 25, 50, 100)
    chance = random.Random(1)
    reached = dict.fromkeys(shares, 0)
    trial = Trial(shares[0], shares, 0.05)
    for number in range(1, 3000):
        block = Block(3, 9, 6, sum(chance.random() < 0.58 for _ in range(3)))
        share = trial.add(block).share
        if share and not reached[share]:
            reached[share] = number
    times = list(reached.values())
    assert times[1:] == sorted(times[1:])
    assert len(set(times[1:])) == 4, "and none is left out"
    assert trial.decision.action == "promote"


# --- the floor

GOOD = Measured(
    voice=0.7,
    voice_low=0.6,
    voice_high=0.8,
    answers=12,
    losses={str(post): Loss(300 + post, 100) for post in range(20)},
    base={str(post): Loss(330 + post, 100) for post in range(20)},
)


def _verdicts(version: Measured, champion: Measured = GOOD) -> dict[str, bool | None]:
    return {check.name: check.passed for check in floor(version, champion)}


def _losses(factor: float, spread: float = 0.0) -> dict[str, Loss]:
    chance = random.Random(2)
    return {post: Loss(one.nats * factor + chance.gauss(0, spread), one.tokens) for post, one in GOOD.losses.items()}


def test_what_is_as_good_passes_the_floor() -> None:
    assert set(_verdicts(GOOD).values()) == {True}
    assert _verdicts(replace(GOOD, voice=0.62, voice_low=0.5, voice_high=0.74))["voice"], "within its interval"
    assert _verdicts(replace(GOOD, losses=_losses(1.02, 5)))["perplexity"], "some is the price of preferences"


@pytest.mark.parametrize(
    ("version", "name"),
    [
        (replace(GOOD, voice=0.2, voice_low=0.1, voice_high=0.3), "voice"),
        (replace(GOOD, copied=4, flagged=True), "copying"),
        (replace(GOOD, losses=_losses(1.07, 5)), "perplexity"),
    ],
)
def test_what_is_worse_beyond_chance_does_not(version: Measured, name: str) -> None:
    found = _verdicts(version)
    assert found.pop(name) is False
    assert all(found.values())


def test_many_small_losses_do_not_add_up_below_the_base() -> None:
    worn = replace(GOOD, losses=_losses(1.09))
    assert _verdicts(replace(GOOD, losses=_losses(1.115)), worn) == {
        "voice": True,
        "copying": True,
        "perplexity": True,
        "perplexity beside the base": False,
    }
    below = replace(GOOD, losses=_losses(1.2))
    assert _verdicts(below, below)["perplexity beside the base"], "a champion that is there itself asks for no more"


def test_copying_no_more_than_the_champion_is_no_reason() -> None:
    copies = replace(GOOD, copied=4, flagged=True)
    assert _verdicts(copies, copies)["copying"]
    assert not _verdicts(replace(copies, copied=5), copies)["copying"]


def test_what_was_not_measured_neither_passes_nor_fails() -> None:
    nothing = Measured()
    found = _verdicts(nothing, nothing)
    assert found.pop("copying")
    assert set(found.values()) == {None}
    assert _verdicts(replace(GOOD, losses={"0": Loss(900, 100)}))["perplexity"] is None, "one post gives no interval"
    told = [check.told for check in floor(nothing, nothing)]
    assert all(told)


def test_the_floor_reads_reports(tmp_path) -> None:  # type: ignore[no-untyped-def]
    report = reports.measured(reports.invented(6))
    worse = report.model_copy(
        update={
            "losses": tuple(
                one.model_copy(update={"twin": one.twin * 1.5, "post_id": one.post_id}) for one in report.losses
            )
        }
    )
    paths = tmp_path / "champion.json", tmp_path / "challenger.json"
    for path, one in zip(paths, (report, worse), strict=True):
        path.write_text(one.model_dump_json(), encoding="utf-8")
    assert rollout.below_floor(paths[0], paths[0]) == []
    assert "perplexity: " in rollout.below_floor(paths[1], paths[0])[0]
    assert {one.name for one in rollout.checks(*paths) if isinstance(one, Check)} >= {"voice", "copying", "perplexity"}


# --- one look


@pytest.fixture
def settings() -> Settings:
    return load_settings(None, {"deployment": {"model_name": "my-twin:latest", "runtime": "llama-cpp"}})


@pytest.fixture
def register(settings: Settings) -> Iterator[Versions]:
    """my-twin:a is champion and has served since yesterday; b and c may challenge it. All three are in the runtime."""
    with lineage.register(settings) as register:
        for name in ("my-twin:a", "my-twin:b", "my-twin:c", "other:x"):
            register.record(version(name))
            _serve(name)
        register.promote("my-twin:a", "the first")
        register.promote("other:x", "the first")
        yield register


def _serve(name: str) -> None:
    artifact = Artifact(
        gguf=f"/{name}.gguf",
        gguf_sha256=f"{ord(name[-1]):064x}",
        quantization="f16",
        template="llama3",
        system="",
        sampling=Sampling.greedy(9),
        context_length=512,
    )
    served.give(name, artifact)
    save_deployment(
        Deployment(
            name=name, runtime="llama-cpp", adapter="/nowhere", artifact=artifact, version=name, deployed_at=START
        )
    )


START = datetime.now(UTC) - timedelta(days=1)


def _say(register: Versions, rows: Sequence[tuple[str, int]], twin: str = "my-twin", hours: int = 1) -> None:
    """Ratings of drafts, in this order, some hours from now."""
    began = datetime.now(UTC) + timedelta(hours=hours)
    store = Store(register.database, timedelta(minutes=15))
    store.add(
        Feedback(
            id=f"{twin} {hours} {number}",
            twin=twin,
            kind="write",
            subject="",
            prompt="Write.",
            drafts=(Draft(version=name, text="A."),),
            response="A.",
            version=name,
            rating=1 if rating > 0 else -1,
            created_at=began + timedelta(seconds=number),
            judged_at=began + timedelta(seconds=number),
        )
        for number, (name, rating) in enumerate(rows)
    )


def _ratings(challenger: str, theirs: float, champion: str, others: float, many: int) -> list[tuple[str, int]]:
    """One rating of the challenger's after four of the champion's; likes are spread evenly."""
    told: list[tuple[str, int]] = []
    for place in range(many):
        told += [(champion, _liked(4 * place + number, others)) for number in range(4)]
        told.append((challenger, _liked(place, theirs)))
    return told


def _liked(place: int, rate: float) -> int:
    return 1 if int((place + 1) * rate + 0.5) > int(place * rate + 0.5) else -1


def test_a_look_promotes_what_readers_prefer_in_the_register_and_in_the_runtime(
    settings: Settings, register: Versions
) -> None:
    register.traffic("my-twin", {"my-twin:b": 10})
    _say(register, _ratings("my-twin:b", 0.95, "my-twin:a", 0.4, 40))
    (step,) = rollout.run(settings, register, "my-twin")
    assert step.action == "promote"
    champion, named = register.champion("my-twin"), find_deployment("my-twin")
    assert champion is not None
    assert named is not None
    assert champion.name == named.version == "my-twin:b"
    assert served.find("my-twin:latest").gguf_sha256 == served.find("my-twin:b").gguf_sha256
    last = register.events("my-twin")[-1]
    assert "of 40 liked, of the champion's" in last.why
    assert rollout.run(settings, register, "my-twin") == [], "and there is nothing more to decide"


def test_a_challenger_that_left_the_runtime_is_not_promoted(settings: Settings, register: Versions) -> None:
    register.traffic("my-twin", {"my-twin:b": 10})
    _say(register, _ratings("my-twin:b", 0.95, "my-twin:a", 0.4, 40))
    served.forget("my-twin:b")
    (step,) = rollout.run(settings, register, "my-twin")
    assert (step.action, "no longer in llama-cpp" in step.sentence) == ("wait", True)
    champion = register.champion("my-twin")
    assert champion is not None
    assert champion.name == "my-twin:a"


def test_a_look_takes_back_what_readers_like_less(settings: Settings, register: Versions) -> None:
    register.traffic("my-twin", {"my-twin:b": 10, "my-twin:c": 10})
    _say(register, _ratings("my-twin:b", 0.1, "my-twin:a", 0.8, 30))
    steps = {step.version: step for step in rollout.run(settings, register, "my-twin")}
    assert {name: step.action for name, step in steps.items()} == {"my-twin:b": "roll back", "my-twin:c": "wait"}
    states = {one.name: (one.state, one.share) for one in register.list("my-twin")}
    assert states == {"my-twin:a": ("champion", 90), "my-twin:b": ("retired", 0), "my-twin:c": ("challenger", 10)}


def test_a_look_gives_the_next_share_once(settings: Settings, register: Versions) -> None:
    register.traffic("my-twin", {"my-twin:b": 10})
    _say(register, _ratings("my-twin:b", 0.7, "my-twin:a", 0.6, 60))
    assert [(step.action, step.share) for step in rollout.run(settings, register, "my-twin")] == [("share", 50)]
    assert register.known("my-twin:b").share == 50
    events = register.events()
    assert [step.action for step in rollout.run(settings, register, "my-twin")] == ["wait"]
    assert register.events() == events, "looking again changes nothing"


def test_the_champion_keeps_as_much_as_a_growing_challenger(settings: Settings, register: Versions) -> None:
    register.traffic("my-twin", {"my-twin:b": 10, "my-twin:c": 30})
    _say(register, _ratings("my-twin:b", 0.7, "my-twin:a", 0.6, 60))
    rollout.run(settings, register, "my-twin")
    shares = {one.name: one.share for one in register.serving("my-twin")}
    assert shares == {"my-twin:a": 35, "my-twin:b": 35, "my-twin:c": 30}


def test_what_was_said_to_another_twin_or_before_it_challenged_does_not_count(
    settings: Settings, register: Versions
) -> None:
    register.traffic("my-twin", {"my-twin:b": 10})
    bad = _ratings("my-twin:b", 0.0, "my-twin:a", 1.0, 40)
    _say(register, bad, hours=-48)
    _say(register, bad, twin="other")
    assert [step.action for step in rollout.run(settings, register, "my-twin")] == ["wait"]
    assert rollout.run(settings, register, "other") == []


def test_a_choice_among_drafts_of_both_counts_and_its_rating_does_not() -> None:
    now = datetime.now(UTC)
    drafts = tuple(Draft(version=name, text=name) for name in ("my-twin:a", "my-twin:b", "my-twin:a"))
    row = Feedback(
        id="1",
        twin="my-twin",
        kind="write",
        subject="",
        prompt="Write.",
        drafts=drafts,
        response="my-twin:b",
        version="my-twin:b",
        rating=1,
        chosen=1,
        created_at=now,
        judged_at=now,
    )
    alone = row.model_copy(update={"drafts": drafts[:1], "chosen": 0, "version": "my-twin:a"})
    silent = row.model_copy(update={"chosen": None})
    foreign = row.model_copy(update={"drafts": (Draft(version="base", text=""),), "version": "base"})
    told = list(rollout.said([row, alone, silent, foreign], "my-twin:b", "my-twin:a"))
    assert told == [Block(1, 2, 1, 1), Rating(False, True)]


def test_the_longest_undecided_makes_room(settings: Settings, register: Versions) -> None:
    register.traffic("my-twin", {"my-twin:b": 10})
    assert rollout.make_room(register, "my-twin") is None
    register.record(version("my-twin:d"))
    register.traffic("my-twin", {"my-twin:c": 10})
    register.traffic("my-twin", {"my-twin:d": 10})
    assert rollout.make_room(register, "my-twin") == "my-twin:b"
    assert register.known("my-twin:b").state == "retired"
