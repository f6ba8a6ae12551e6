"""Which language is a post in? In: what its file says (`en-US`, `english`), its name, or its text. Out: an ISO 639-1 code.

The detector is lingua's, which runs here and asks nobody. It is built once a process, for the languages that blogs are
written in: with all 75 it is three times as slow and takes short posts for languages their authors never heard of.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lingua import LanguageDetector

_NAMES = {
    "arabic": "ar", "bulgarian": "bg", "catalan": "ca", "chinese": "zh", "croatian": "hr", "czech": "cs", "danish": "da",
    "dutch": "nl", "english": "en", "finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hebrew": "he",
    "hindi": "hi", "hungarian": "hu", "indonesian": "id", "italian": "it", "japanese": "ja", "korean": "ko",
    "persian": "fa", "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru", "slovak": "sk",
    "spanish": "es", "swedish": "sv", "thai": "th", "turkish": "tr", "ukrainian": "uk", "vietnamese": "vi",
}  # fmt: skip
_OWN_NAMES = {
    "deutsch": "de", "español": "es", "espanol": "es", "castellano": "es", "français": "fr", "francais": "fr",
    "italiano": "it", "português": "pt", "portugues": "pt", "nederlands": "nl", "polski": "pl", "русский": "ru",
    "日本語": "ja", "中文": "zh", "한국어": "ko", "norwegian": "no", "bokmål": "no", "nb": "no", "nn": "no", "svenska": "sv",
    "dansk": "da", "norsk": "no", "suomi": "fi", "čeština": "cs", "eng": "en", "deu": "de", "ger": "de", "fra": "fr",
    "fre": "fr", "spa": "es", "ita": "it", "por": "pt", "jpn": "ja", "zho": "zh", "chi": "zh", "kor": "ko", "rus": "ru",
    "nld": "nl", "dut": "nl", "swe": "sv", "pol": "pl", "jp": "ja", "cn": "zh",
}  # fmt: skip
_ENOUGH = 200  # letters of prose: beyond these the answer no longer changes, and the time grows
_MORE = 800  # a post that begins with names and titles is plain English further on
_TOO_FEW = 40
# Words of English that none of the languages above has too, or seldom.
_ENGLISH = frozenset(
    re.findall(
        r"\S+",
        "the and of to in it is that this with for are was were have has had been be from which you they their there not but "
        "or would could should what when because about your my we our he she his its if on at by can all than how "
        "then these those some who just into i'm i've it's don't that's",
    )
)
_KANA = re.compile(r"[\u3041-\u30ff]")
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_NOT_PROSE = re.compile(r"`[^`\n]*`|https?://\S+|[\w.+-]{1,64}@[\w.-]+|[#*_>|\[\](){}=~\\<]|\d+")


def code(said: str) -> str | None:
    """The ISO 639-1 code of a language however it is called: en-US, en_GB.UTF-8, `English`, zh-Hans, jpn."""
    word = re.split(r"[-_.,;\s]", said.strip().strip("\"'").lower(), maxsplit=1)[0]
    known = _NAMES.get(word) or _OWN_NAMES.get(word)
    return known or (word if re.fullmatch(r"[a-z]{2}", word) else None)


def from_path(relative: PurePath) -> str | None:
    """The language in a file name, as Hugo's and Nikola's translations have it: index.fr.md → fr."""
    marks = [suffix.lstrip(".").lower() for suffix in relative.suffixes[:-1][-1:]]
    return marks[0] if marks and marks[0] in _NAMES.values() else None


def detect(text: str) -> str | None:
    """The language of cleaned Markdown, as an ISO 639-1 code; None where there is too little prose to tell."""
    prose = _prose(text, _ENOUGH)
    # A word of Chinese or Japanese is one or two characters, so that far fewer say as much.
    letters = (
        sum(map(str.isalpha, prose))
        if prose.isascii()
        else sum(2 + 2 * (character >= "\u2e80") if character.isalpha() else 0 for character in prose) // 2
    )
    if letters < _TOO_FEW:
        return None
    for mark, tongue in ((_KANA, "ja"), (_HANGUL, "ko")):
        # The detector counts words, of which the Latin names in a Japanese sentence are most.
        if len(mark.findall(prose)) > max(8, letters * 0.05):
            return tongue
    if _is_english(prose) or _is_english(_prose(text, _MORE)):
        return "en"
    found = _detector().detect_language_of(prose)
    if found is None:
        return None
    return "no" if found.name in ("BOKMAL", "NYNORSK") else str(found.iso_code_639_1.name).lower()


def _is_english(prose: str) -> bool:
    """Whether nobody needs to ask: two in nine words, and five at least, are such as only English is held together by."""
    words = prose.lower().split()
    said = sum(map(_ENGLISH.__contains__, words))
    return said >= 5 and said * 9 >= len(words) * 2


def _prose(text: str, enough: int) -> str:
    """The first lines that are neither code nor tables, up to so many characters."""
    out: list[str] = []
    length, fence = 0, ""
    for line in text[:20_000].split("\n"):
        stripped = line.strip()
        if fence:
            fence = "" if stripped.startswith(fence) else fence
        elif stripped.startswith(("```", "~~~")):
            fence = stripped[:3]
        elif stripped and not line.startswith(("    ", "\t", "|")):
            out.append(_NOT_PROSE.sub(" ", stripped[: 4 * enough]))
            length += len(out[-1])
            if length >= enough:
                break
    return " ".join(" ".join(out)[: 2 * enough].split())[:enough]


@lru_cache(maxsize=1)
def _detector() -> LanguageDetector:
    from lingua import Language, LanguageDetectorBuilder

    languages = [getattr(Language, name.upper()) for name in _NAMES] + [Language.BOKMAL]
    return LanguageDetectorBuilder.from_languages(*languages).with_low_accuracy_mode().build()
