"""What stands below a post and is none of it: share and subscribe lines, tags, links to neighbours, headings of nothing.

In: the end of a cleaned text. Out: the same without.
"""

from __future__ import annotations

import re

from blogtwin.cleaning.edits import Cuts

_MARKS = r"[\s>*_#~|\-–—•←→«»👉📧☕]*"
_PLACES = (
    r"(?:/?r/\w+|hacker ?news|hn|reddit|lobste\.?rs|twitter|x|mastodon|bluesky|dev\.to|github|facebook|linkedin|instagram|medium|"
    r"youtube|threads)"
)
_LETTERS = r"(?:newsletter|feed|rss|atom|e-?mail|updates|mailing list|channel|blog|posts|inbox)"
_LIKED = r"(?:if you (?:liked|enjoyed) this[^.!?\n]{0,80}[,.!?]? )?(?:please |you can |consider )?"
_SUBSCRIBE = re.compile(
    _MARKS + _LIKED + rf"(?:shar(?:e|ing) (?:this|it)\b(?: (?:post|article|on\b).*|[.!:]*$)|"
    rf"subscrib(?:e|ing)\b.{{0,80}}\b{_LETTERS}\b|sign up\b.{{0,60}}\b{_LETTERS}\b|"
    rf"follow (?:me|us|@\w+|my)\b.{{0,60}}\b(?:{_PLACES}|rss|blog)\b|follow me[.! ]*$|"
    r"(?:buy|get) me a (?:coffee|beer|ko-?fi)|"
    r"(?:support|sponsor) (?:me|my work|this blog)\b.{0,60}\b(?:patreon|ko-?fi|github|paypal|liberapay|coffee)|"
    rf"(?:discuss|comments?|vote|upvote)(?: (?:this|it|the) ?(?:post|article)?)? (?:on|at) {_PLACES}\b.{{0,60}}$|"
    rf"(?:tweet|share|pin) (?:this|on {_PLACES})\b.{{0,80}}$)",
    re.IGNORECASE,
)
_THREAD = rf"(?:{_PLACES}|the \w{{2,20}} (?:forum|subreddit))"
# "This article was discussed on Hacker News and critiqued on reddit.": a paragraph that says nothing else.
DISCUSSED = re.compile(
    _MARKS + r"(?:update[^:\n]{0,20}: )?(?:"
    r"(?:this|the) (?:article|post|entry|essay) (?:was|is|has been|got) (?:also |now )?(?:being )?(?:discussed|critiqued)"
    rf" (?:on|at|over at|over on|in) {_THREAD}\b.{{0,120}}$"
    r"|(?:(?:there(?:['’]s| is| was| are| were| has been)|see|join|follow|please follow)(?: the| an?| some)? )?"
    r"(?:(?!no |my |our )\w+ |bit of |lot of ){0,2}discussions?(?: threads?)?"
    rf" (?:of this (?:post|article)(?=[.!*_]*$)|(?:(?:of|about) this (?:article|post) )?(?:on|at|over at|over on|in) {_THREAD}\b)"
    r"|(?:thoughts|comments|questions)\b[^?\n]{0,40}\? discuss(?: this| it)?(?: (?:post|article))? on "
    rf"{_THREAD}\b"
    rf")(?:[\s,;&()*_.!]|(?:and|or|also|on|at|in|later|again|critiqued|discussed|as well|here)\b|{_THREAD}\b)*$",
    re.IGNORECASE,
)
_TAGS = re.compile(
    _MARKS
    + r"(?:(?:filed under|tagged|posted in)\b|(?:tags?|labels?|categor(?:y|ies)|keywords|technorati tags)\s*(?:\*\*|__)?:)"
    r"[^.!?\n]{0,300}$",
    re.IGNORECASE,
)
_NEIGHBOUR = re.compile(
    _MARKS
    + r"(?:(?:previous|next|older|newer|prev)(?: (?:post|article|entry|chapter|page|part))?\s*(?:\*\*)?(?:[:→»>|]|$)|"
    r"(?:back to (?:top|home|the (?:blog|index|top))|read more|all posts)[\s→»>.]*$)",
    re.IGNORECASE,
)
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)", re.MULTILINE)
_MOST = 45  # words: a longer paragraph says something


def without_ending(text: str, cuts: Cuts) -> str:
    """`text`, whose end is no code, without what is no part of the post."""
    for _ in range(12):
        text = text.rstrip()
        found = _headings(text)
        if found < len(text):
            cuts.add("headings of nothing", text[found:])
            text = text[:found]
            continue
        start = max(text.rfind("\n\n"), -2) + 2
        block = text[start:]
        if len(block) > 600 or (name := _said(block)) is None:
            return text
        cuts.add(name, block)
        text = text[:start]
    return text


def _headings(text: str) -> int:
    """Where the headings begin that stand last in `text`; its length where something stands under the last one."""
    start = end = len(text)
    while end > 0:
        line = text.rfind("\n", 0, end) + 1
        if not _HEADING.match(text, line):
            break
        start = end = line
        while end > 0 and text[end - 1].isspace():
            end -= 1
    return start


def _said(block: str) -> str | None:
    """What a last paragraph is, when every line of it is that; None where it belongs to the post."""
    lines = [line for line in block.split("\n") if line.strip()]
    if not lines or len(block.split()) > _MOST:
        return None
    kinds = {_kind(line) for line in lines}
    if len(kinds) == 1:
        return kinds.pop()
    return "subscribe lines" if None not in kinds else None


def _kind(line: str) -> str | None:
    if _TAGS.match(line):
        return "tags"
    if _SUBSCRIBE.match(line) or DISCUSSED.match(line):
        return "subscribe lines"
    return "links to other posts" if _NEIGHBOUR.match(line) else None
