"""Whose words are these? A blog holds more than its author's own: readers' comments, guest posts, translations, quotations.

In: a post's cleaned Markdown. Out: the same without what others wrote, or the reason why the whole post is not the author's.
A wrong cut costs the author's own words, so every rule asks for evidence, and what is in doubt stays.
"""

from __future__ import annotations

from blogtwin.cleaning import compilations, notes
from blogtwin.cleaning.clean import Cleaned
from blogtwin.cleaning.comments import without_comments
from blogtwin.cleaning.names import people, same_person, signed_by


def own_words(text: str) -> Cleaned:
    """`text` without readers' comments and without notes on licence, translations and first publication."""
    text, comments = without_comments(text)
    text, cuts = notes.without_notes(text)
    return Cleaned(text, {"readers' comments": comments, **cuts} if comments else cuts)


def not_the_authors(title: str, text: str, said_author: str | None, author: str | None, source: str = "") -> str | None:
    """Why the post as a whole is not the author's writing, or None.

    text: as `own_words` left it. said_author: what the post is signed with. author: whose posts are wanted; None: anybody's.
    source: the text before it was cleaned, whose links are still links.
    """
    if said_author and author and people(said_author) and not signed_by(said_author, author):
        return f"is signed by {said_author}"
    guest = notes.guest_author(title, text)
    if guest is not None and not (guest and author and same_person(guest, author)):
        return f"is a guest post by {guest}" if guest else "is a guest post"
    if note := notes.translation_note(text):
        return f"is a translation: “{note if len(note) <= 80 else note[:79].rstrip() + '…'}”"
    return (
        compilations.transcript(title, text)
        or compilations.link_list(text, source)
        or compilations.mostly_quotation(text)
    )


def written_with(said_author: str | None, author: str | None) -> str | None:
    """A remark where the author signed with others: their words cannot be told apart."""
    if not said_author or not author or not signed_by(said_author, author):
        return None
    others = [one for one in people(said_author) if not same_person(one, author)]
    return f"was written with {' and '.join(others)}" if others else None
