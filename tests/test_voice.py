"""The voice score: near 1 for the author, near 0 for whoever writes like the base, the same on every run."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence

import pytest

from blogtwin.evaluation.copying import Source, copying
from blogtwin.evaluation.habits import Habit, habits
from blogtwin.evaluation.voice import Voice, voice_score
from blogtwin.evaluation.words import cut, outline, paragraphs, prose, sentences, unspaced, words
from conftest import EXAMPLES

LENGTH = 220  # words, about what an answer of 300 tokens has

SUBJECTS = (
    "the workflow|our customers|modern software|a healthy routine|remote teams|personal finance|the market|good design"
)
SENTENCES = (
    "In today's fast-paced world, {a} has become increasingly important for {b}.",
    "Whether you're a beginner or an expert, understanding {a} can help you unlock the full potential of {b}!",
    "It's important to note that {a} isn't a one-size-fits-all solution.",
    "By leveraging {a}, individuals can significantly enhance the way they approach {b}, ensuring long-term success.",
    "Additionally, {a} offers many benefits — from improved efficiency to greater satisfaction — that shouldn't be overlooked.",
    "Let's dive into the key factors that make {a} so crucial!",
    "Ultimately, the choice between {a} and {b} depends on your unique needs, goals, and preferences.",
    "Furthermore, many experts believe that {a} plays a vital role in shaping {b}.",
)


def author_posts() -> list[str]:
    """The example author's Markdown posts, without front matter."""
    texts = [path.read_text("utf-8") for path in sorted(EXAMPLES.rglob("*.m*d*"))]
    texts = [re.sub(r"\A(---|\+\+\+)\n.*?\n\1\n", "", text, flags=re.DOTALL) for text in texts]
    return [text for text in texts if len(words(prose(text))) >= LENGTH]


def model_texts(count: int, seed: int) -> list[str]:
    """What an assistant writes when nobody taught it a voice."""
    chance = random.Random(seed)

    def paragraph() -> str:
        chosen = (chance.choice(SENTENCES) for _ in range(chance.randint(2, 4)))
        return " ".join(
            one.format(a=chance.choice(SUBJECTS.split("|")), b=chance.choice(SUBJECTS.split("|"))) for one in chosen
        )

    return [
        "\n\n".join(f"**{chance.choice(SUBJECTS.split('|')).title()}**\n\n{paragraph()}" for _ in range(8))
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def texts() -> dict[str, list[str]]:
    posts = author_posts()
    random.Random(3).shuffle(posts)
    assert len(posts) >= 18, "the example blog is what these tests stand on"
    return {
        "training": posts[12:] or posts,
        "held out": posts[:6],
        "other posts": posts[6:12],
        "base": model_texts(6, seed=1),
        "other base": model_texts(6, seed=2),
    }


def scored(texts: dict[str, list[str]], twin: Sequence[str], seed: int = 7) -> Voice:
    cut_twin = [cut(text, LENGTH) for text in twin]
    return voice_score(
        texts["training"], texts["held out"], [cut(text, LENGTH) for text in texts["base"]], cut_twin, seed
    )


def whole(voice: Voice) -> tuple[float, float, float]:
    assert voice.score is not None
    assert voice.low is not None
    assert voice.high is not None
    return voice.score, voice.low, voice.high


def test_the_authors_own_other_posts_score_near_one(texts: dict[str, list[str]]) -> None:
    score, low, high = whole(scored(texts, texts["other posts"]))
    assert 0.8 < score < 1.2
    assert low <= 1 <= high
    assert low > 0.5


def test_more_of_the_base_models_own_text_scores_near_zero(texts: dict[str, list[str]]) -> None:
    score, low, high = whole(scored(texts, texts["other base"]))
    assert -0.2 < score < 0.2
    assert low <= 0 <= high


def test_half_of_each_stands_in_between(texts: dict[str, list[str]]) -> None:
    mixed = [*texts["other posts"][:3], *texts["other base"][3:]]
    score, _, _ = whole(scored(texts, mixed))
    assert 0.25 < score < 0.85


def test_shuffled_words_lose_rhythm_and_letters_but_keep_the_function_words(texts: dict[str, list[str]]) -> None:
    chance = random.Random(5)
    shuffled = []
    for text in texts["other posts"]:
        bag = words(cut(text, LENGTH))
        chance.shuffle(bag)
        shuffled.append(" ".join(bag))
    by_habit = {one.habit: one for one in scored(texts, shuffled).habits}
    straight = {one.habit: one for one in scored(texts, texts["other posts"]).habits}
    assert by_habit["function words"].twin == pytest.approx(straight["function words"].twin)
    for habit in ("word order", "letter sequences", "punctuation", "rhythm"):
        assert by_habit[habit].twin > straight[habit].twin


def test_a_voice_without_its_punctuation_is_heard(texts: dict[str, list[str]]) -> None:
    bare = [re.sub(r"[;:,()]", "", text) for text in texts["other posts"]]
    by_habit = {one.habit: one.score for one in scored(texts, bare).habits}
    straight = {one.habit: one.score for one in scored(texts, texts["other posts"]).habits}
    assert (by_habit["punctuation"] or 0) < (straight["punctuation"] or 0) - 0.1


def test_a_base_that_is_the_author_leaves_nothing_to_measure_and_says_so(texts: dict[str, list[str]]) -> None:
    voice = voice_score(texts["training"], texts["held out"], texts["held out"], texts["base"], seed=7)
    assert voice.score is None
    assert voice.low is None
    assert any("no voice score" in remark for remark in voice.remarks)
    assert all(one.score is None and one.base == one.author for one in voice.habits)


def test_the_same_texts_and_seed_give_the_same_score(texts: dict[str, list[str]]) -> None:
    assert scored(texts, texts["other posts"]) == scored(texts, texts["other posts"])


def test_another_seed_moves_the_interval_and_not_the_score(texts: dict[str, list[str]]) -> None:
    one, other = scored(texts, texts["other posts"], seed=1), scored(texts, texts["other posts"], seed=2)
    assert one.score == other.score
    assert one.low != other.low


def test_texts_are_compared_at_equal_length(texts: dict[str, list[str]]) -> None:
    """An answer of 60 words beside whole posts is judged by the first 60 words of each."""
    short = [cut(text, 60) for text in texts["other posts"]]
    voice = voice_score(texts["training"], texts["held out"], texts["base"], short, seed=7)
    assert voice.words == pytest.approx(6 * 60, abs=30)
    assert whole(voice)[0] > 0.6


def test_one_short_answer_does_not_cost_the_others_their_words(texts: dict[str, list[str]]) -> None:
    ragged = [cut(texts["other posts"][0], 10), *texts["other posts"][1:]]
    voice = scored(texts, ragged)
    assert voice.words == pytest.approx(5 * LENGTH + 10, abs=60)
    assert whole(voice)[0] > 0.7


def test_one_prompt_gives_a_score_without_an_interval(texts: dict[str, list[str]]) -> None:
    voice = voice_score(texts["training"], texts["held out"][:1], texts["base"][:1], texts["other posts"][:1], seed=7)
    assert voice.low is None
    assert any("no interval" in remark for remark in voice.remarks)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "```\ncode alone\n```",
        "Yes.",
        "the the the " * 80,
        "Der Hund lief über die Straße und bellte. " * 30,
        "雨が降る。" * 60,
    ],
    ids=["nothing", "code", "one word", "a loop", "another language", "another script"],
)
def test_what_is_no_answer_scores_low(texts: dict[str, list[str]], answer: str) -> None:
    voice = scored(texts, [answer] * 6)
    assert voice.score is not None
    assert voice.score < 0.2
    assert "nan" not in voice.model_dump_json()


def test_an_authors_own_sentence_over_and_over_is_no_voice(texts: dict[str, list[str]]) -> None:
    looping = [" ".join([sentences(prose(text))[2]] * 40) for text in texts["other posts"]]
    assert whole(scored(texts, looping))[0] < 0.3 < whole(scored(texts, texts["other posts"]))[0]


def test_a_parrot_sounds_like_the_author_and_is_told_by_copying_alone(texts: dict[str, list[str]]) -> None:
    """Why the voice score is no praise by itself: training posts are the author's voice. The report puts copying first."""
    parrot = [cut(post, LENGTH) for post in texts["training"][:6]]
    honest = [cut(post, LENGTH) for post in texts["other posts"]]
    sources = [Source(str(number), f"Post {number}", post) for number, post in enumerate(texts["training"])]
    titles = [f"A title, number {number}" for number in range(6)]
    assert whole(scored(texts, parrot))[0] > 0.7
    assert copying(titles, parrot, sources).flagged
    assert not copying(titles, honest, sources).flagged


def test_a_base_that_says_nothing_leaves_nothing_to_measure(texts: dict[str, list[str]]) -> None:
    voice = voice_score(texts["training"], texts["held out"], [""] * 6, texts["base"], seed=7)
    assert voice.score is None
    assert voice.remarks


def test_shuffled_words_score_below_the_author_and_above_nothing(texts: dict[str, list[str]]) -> None:
    chance = random.Random(5)
    shuffled = [" ".join(chance.sample(words(text), len(words(text)))) for text in texts["other posts"]]
    assert whole(scored(texts, shuffled))[0] < 0.4 < whole(scored(texts, texts["other posts"]))[0]


def test_more_posts_make_a_narrower_interval(texts: dict[str, list[str]]) -> None:
    def width(count: int) -> float:
        posts = [*texts["held out"], *texts["other posts"]]
        half = [cut(text, LENGTH) for text in posts]
        voice = voice_score(
            texts["training"], half[:count], model_texts(12, seed=1)[:count], half[-count:][::-1], seed=7
        )
        _, low, high = whole(voice)
        return high - low

    assert width(12) < width(6) < width(3)


def test_a_twin_of_another_author_scores_below_the_right_one(texts: dict[str, list[str]]) -> None:
    """The wrong twin has the author's formatting and half the words, and every sentence turned into an exclamation."""
    wrong = [re.sub(r"[,;:]", " -", text.replace(".", "!")).upper() for text in texts["other posts"]]
    assert whole(scored(texts, wrong))[0] < whole(scored(texts, texts["other posts"]))[0]


def test_formatting_is_heard_apart_from_punctuation(texts: dict[str, list[str]]) -> None:
    training = [outline(post) for post in texts["training"]]
    straight = "\n\n".join(texts["other posts"])
    listed = re.sub(r"(?<=[.!?])\s+", "\n- ", straight)
    linked = re.sub(r"\b(the \w+)", r"[\1](https://example.org)", straight)
    shown = re.sub(r"\n\n", "\n\n```\na line of code\n```\n\n", straight)

    def distance(habit: Habit, text: str) -> float:
        return float(habit.distance(habit.count(outline(text))[None])[0])

    for habit in habits(training):
        if habit.name == "formatting":
            for formatted in (listed, linked, shown):
                assert distance(habit, formatted) > distance(habit, straight)
        else:
            assert distance(habit, linked) == pytest.approx(distance(habit, straight))


def test_a_poorer_vocabulary_is_heard(texts: dict[str, list[str]]) -> None:
    def of(twin: Sequence[str]) -> float:
        return next(one.twin for one in scored(texts, twin).habits if one.habit == "vocabulary")

    poor = [" ".join([" ".join(text.split()[:30])] * 7) for text in texts["other posts"]]
    assert of(poor) > of(texts["other posts"])


def test_it_takes_few_seconds(texts: dict[str, list[str]]) -> None:
    start = time.process_time()
    scored(texts, texts["other posts"])
    assert time.process_time() - start < 5


def test_japanese_is_measured_by_its_characters() -> None:
    plain = "今日は雨が降っていた。僕は傘を持たずに家を出た。それでも困らなかった。駅は近い。"
    polite = "本日は晴天でございます！皆様、いかがお過ごしでしょうか？素晴らしい一日になりますように！"
    assert unspaced(plain)
    assert words("雨が3回")[:2] == ["雨", "が"]
    assert len(sentences(plain)) == 4
    assert cut(plain, 3) == "今日は"
    voice = voice_score([plain * 8] * 4, [plain * 2] * 3, [polite * 2] * 3, [plain * 2] * 3, seed=7)
    assert voice.score == pytest.approx(1)


def test_code_and_addresses_have_no_voice() -> None:
    text = "See [the manual](https://example.org/a) or <b>ask</b>:\n\n```python\nfor each in them: pass\n```\n\nThat `is` all.\n"
    assert words(prose(text)) == ["see", "the", "manual", "or", "ask", "that", "all"]


def test_sentences_end_where_a_reader_hears_it() -> None:
    text = '# A title\n\nShe said "no." Then she left!\n- first item\n- second item\n\nVersion 2.5 is out.'
    assert [len(words(one)) for one in sentences(text)] == [2, 3, 3, 2, 2, 5]
    assert len(paragraphs(text)) == 3


def test_the_distance_of_the_authors_own_text_is_the_smallest(texts: dict[str, list[str]]) -> None:
    training = [prose(post) for post in texts["training"]]
    for habit in habits(training):
        own, strange = (
            sum((habit.count(prose(text)) for text in side), 0 * habit.count("")) for side in (training, texts["base"])
        )
        assert float(habit.distance(own[None])[0]) < 0.05
        assert float(habit.distance(strange[None])[0]) > float(habit.distance(own[None])[0])
