"""A blog of any size for the benchmarks: front matter, headings, links, pictures, code, shortcodes, HTML; no two posts alike.

In: a folder and a number. Out: that many Markdown files of about 600 words, the same bytes for the same number.
"""

from __future__ import annotations

import random
from pathlib import Path

_SYLLABLES = [consonant + vowel for consonant in "bcdfghklmnprstvw" for vowel in ("a", "e", "i", "o", "u", "ea", "oo")]
_COMMON = "the of and to a in is it you that he was for on are with as I his they be at one have this from or had by"
_POSTS_A_FOLDER = 1000


def write(folder: Path, posts: int) -> None:
    """Write `posts` posts below `folder`, a thousand a subfolder."""
    words = _vocabulary()
    for number in range(posts):
        place = folder / f"{number // _POSTS_A_FOLDER:03d}"
        if number % _POSTS_A_FOLDER == 0:
            place.mkdir(parents=True, exist_ok=True)
        year, month, day = 2000 + number % 25, number % 12 + 1, number % 28 + 1
        name = f"{year}-{month:02d}-{day:02d}-post-{number:06d}.md"
        (place / name).write_text(_post(random.Random(number), words, f"{year}-{month:02d}-{day:02d}"), "utf-8")


def _vocabulary() -> list[str]:
    """4,000 made-up words beside the commonest English ones, which make half of any text."""
    chance = random.Random(0)
    made = ["".join(chance.choices(_SYLLABLES, k=chance.choice((2, 2, 3, 3, 4)))) for _ in range(4000)]
    common = _COMMON.split()
    return made + common * 130


def _post(chance: random.Random, words: list[str], date: str) -> str:
    def sentence() -> str:
        found = chance.choices(words, k=chance.randint(6, 22))
        if chance.random() < 0.15:
            found[2] = f"[{found[2]}](https://example.org/{found[3]})"
        if chance.random() < 0.1:
            found[1] = f"*{found[1]}*"
        if chance.random() < 0.05:
            found[-1] = f"`{found[-1]}()`"
        return " ".join(found).capitalize() + chance.choice(".....!?")

    def paragraph() -> str:
        return " ".join(sentence() for _ in range(chance.randint(2, 7)))

    title = " ".join(chance.choices(words, k=5)).capitalize()
    parts = [f'---\nlayout: post\ntitle: "{title}"\ndate: {date}\ntags: [{words[chance.randrange(4000)]}]\n---']
    for _ in range(chance.randint(6, 12)):
        kind = chance.random()
        if kind < 0.15:
            parts.append("## " + " ".join(chance.choices(words, k=3)).capitalize())
        elif kind < 0.22:
            parts.append(f"![{chance.choice(words)}](/img/{chance.randrange(999)}.png)")
        elif kind < 0.28:
            parts.append(f"```python\nfor x in range({chance.randrange(99)}):\n    print(x)\n```")
        elif kind < 0.32:
            parts.append('{{< figure src="/x.png" >}}')
        elif kind < 0.36:
            parts.append(f"<p>{sentence()} <b>{chance.choice(words)}</b></p>")
        elif kind < 0.42:
            parts.append("\n".join(f"- {sentence()}" for _ in range(4)))
        parts.append(paragraph())
    return "\n\n".join(parts) + "\n"
