"""A whole page of a blog → the post in it, and what the page says of the post.

In: the source of a page. Out: the Markdown of the article alone, and title, date, author, language and tags by the names that
front matter has for them. Menus, comments, share buttons, related posts and author boxes are not the article.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blogtwin.markup.html import markdown_of
from blogtwin.markup.html_parse import After, Node, classes, name_set, parsed, skip, text_of, walk
from blogtwin.words import count_words

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser

# From the surest to the vaguest; among the matches of one, the longest.
_ARTICLES = (
    "[itemprop~=articleBody]", ".h-entry .e-content", ".e-content", ".entry-content", ".post-content", ".post-body",
    ".post__content", ".post-entry", ".article-content", ".article-body", ".article__content", ".entry-body", ".gh-content",
    ".available-content", ".blog-post-content", ".blog-content", ".post-text", ".markdown-body", "article", ".h-entry", "main",
    "[role=main]", "#main-content", "#content", ".content", "#main", ".post", ".entry",
)  # fmt: skip
_MIN_CHARS = 200  # an article shorter than this may be a teaser; the next match is asked
_NEVER_TEXT = name_set("nav footer header aside")
_ROLES = name_set("navigation banner contentinfo complementary search doc-toc")
_NAMES = name_set(
    "comments comment-list commentlist comment-respond comments-area comment-form respond disqus_thread disqus disqus-comments "
    "utterances giscus isso-thread commento cusdis remark42 hyvor-talk-view webmentions webmention fediverse-comments "
    "wp-block-comments comments-section post-comments blog-comments comment-section responses mastodon-comments "
    "share sharing share-links share-post post-share social-links social-sharing social-icons social "
    "related related-posts relatedposts related-articles related-content yarpp read-next read-more-posts recommended "
    "recommendations similar-posts more-posts suggested you-may-also-like further-reading-posts "
    "author-bio author-box author-info author-card about-author about-the-author post-author-box author-profile bio "
    "newsletter newsletter-signup subscribe subscribe-form subscription signup mailing-list mc_embed_signup email-signup cta "
    "post-meta entry-meta post-info meta post-header-meta byline post-byline dateline reading-time post-date "
    "post-tags tags tag-list entry-tags tagcloud post-categories entry-footer post-footer article-footer "
    "post-navigation post-nav nav-links navigation pagination pager prev-next post-pagination breadcrumb breadcrumbs "
    "sidebar widget widget-area widgets site-header site-footer site-nav menu skip-link cookie-notice cookie-banner edit-link "
    "edit-page likes post-likes claps kudos upvote paywall advertisement ads adsbygoogle print-only noprint"
)
_ASIDES = re.compile(
    r"foot-?note|side-?note|margin-?note|admonition|callout|\bnote\b|\btip\b|warning|pull-?quote|alert|endnotes"
)
_COMMENTS_BEGIN = re.compile(
    r"^(?:(?:\d+|one|two|three|no) (?:thoughts?|comments?|responses?|repl(?:y|ies)|reactions?)\b.{0,120}|"
    r"(?:leave|post|add|write) a (?:comment|reply|response)\b.{0,40}|"
    r"comments(?: \(\d+\))?:?|reader comments|discussion \(\d+\)|kommentare|commentaires)$",
    re.IGNORECASE,
)
_BETWEEN_NAMES = re.compile(r"\s+(?:[|·•»«–—-]|::)\s+")
_LD_DATE = re.compile(r'"datePublished"\s*:\s*"([^"]{4,40})"')


@dataclass(frozen=True)
class Article:
    """markdown: the article's. values: title, date, author, lang, tags, where the page says them. left_out: words around it.

    others: how many more articles of some length the page holds; a page of many is a list, no post.
    """

    markdown: str
    values: dict[str, object] = field(default_factory=dict)
    left_out: int = 0
    others: int = 0


def article_of(page: str) -> Article:
    """The post in a page."""
    tree = parsed(page)
    body = tree.body
    if body is None:
        return Article("", _said(tree, None))
    article, others = _found(body)
    dropped = _around(article)
    markdown = markdown_of(article, frozenset(node.mem_id for node in dropped))
    seen = count_words(_visible(body))
    return Article(markdown, _said(tree, article), max(0, seen - count_words(markdown)), others)


def _found(body: Node) -> tuple[Node, int]:
    for selector in _ARTICLES:
        matches = [(len(text_of(node)), node) for node in body.css(selector)[:200]]
        long = [match for match in matches if match[0] >= _MIN_CHARS]
        if long:
            length, best = max(long, key=lambda match: match[0])
            others = sum(size > length / 5 for size, _ in long) - 1
            return best, others if selector not in ("main", "#content", ".content", "#main") else 0
    return body, 0


def _around(article: Node) -> list[Node]:
    """What stands in the article's element and is not the article, outermost elements only."""
    whole = len(text_of(article))
    found: list[Node] = []

    def enter(node: Node) -> After | None:
        if node.tag.startswith("-"):
            return None
        if _is_around(node) and len(text_of(node)) <= whole / 2:
            found.append(node)
            return skip
        if node.tag in ("h2", "h3", "h4", "h5") and _COMMENTS_BEGIN.match(" ".join(text_of(node).split())[:200]):
            found.extend(_from(node))
        return None

    walk(article, enter)
    return found


def _is_around(node: Node) -> bool:
    attributes = node.attributes
    if not attributes:
        return node.tag in _NEVER_TEXT
    own = classes(node)
    name = (attributes.get("id") or "").lower()
    if node.tag in ("aside", "footer", "section", "div") and _ASIDES.search(
        " ".join([*own, name, attributes.get("role") or ""])
    ):
        return False
    if node.tag in _NEVER_TEXT or attributes.get("role") in _ROLES:
        return True
    return name in _NAMES or not _NAMES.isdisjoint(own)


def _from(node: Node) -> Iterator[Node]:
    """`node` and all that follows it in its element."""
    while node is not None:
        yield node
        node = node.next


def _visible(body: Node) -> str:
    texts: list[str] = []

    def enter(node: Node) -> After | None:
        if node.tag in ("script", "style", "noscript", "template", "svg"):
            return skip
        texts.append(
            node.text_content or ""
            if node.tag == "-text"
            else " "
            if node.tag in ("p", "li", "div", "br", "td")
            else ""
        )
        return None

    walk(body, enter)
    return "".join(texts)


# What the page says of the post


def _said(tree: LexborHTMLParser, article: Node | None) -> dict[str, object]:
    meta: dict[str, list[str]] = {}
    for node in tree.css("meta")[:500]:
        name = node.attributes.get("property") or node.attributes.get("name") or node.attributes.get("itemprop") or ""
        if content := node.attributes.get("content"):
            meta.setdefault(name.lower(), []).append(content)
    language = tree.root.attributes.get("lang") if tree.root is not None else None
    keywords = [word for line in meta.get("keywords", []) for word in line.split(",")]
    values: dict[str, object] = {
        "title": _title(tree, article, meta),
        "date": _date(tree, article, meta),
        "author": _author(tree, article, meta),
        "lang": language,
        "tags": [*meta.get("article:tag", []), *(text_of(node) for node in tree.css("a[rel~=tag]")[:50]), *keywords],
    }
    return {key: value for key, value in values.items() if value}


def _title(tree: LexborHTMLParser, article: Node | None, meta: dict[str, list[str]]) -> str:
    heads = (
        [" ".join(text_of(node).split()) for node in (article or tree.root).css("h1")] if tree.root is not None else []
    )
    if not heads:
        heads = [
            " ".join(text_of(node).split())
            for node in tree.css("article h1, main h1, h1.entry-title, h1.post-title, .p-name")[:3]
        ]
    site = next(iter(meta.get("og:site_name", [])), "").strip()
    said = next(iter(meta.get("og:title", [])), "").strip()
    if not said and heads and heads[0]:
        return heads[0]
    node = tree.css_first("title")
    said = " ".join((said or (text_of(node) if node is not None else "")).split())
    parts = [part.strip() for part in _BETWEEN_NAMES.split(said) if part.strip()]
    for part in parts:
        if part in heads:
            return part
    if len(parts) > 1 and site in (parts[0], parts[-1]):
        return (
            said[len(parts[0]) :].lstrip(" |·•»«–—-:")
            if parts[0] == site
            else said[: -len(parts[-1])].rstrip(" |·•»«–—-:")
        )
    return said if "og:title" in meta or not parts else parts[0]


def _date(tree: LexborHTMLParser, article: Node | None, meta: dict[str, list[str]]) -> str:
    for name in (
        "article:published_time", "og:published_time", "datepublished", "date", "dc.date", "dc.date.issued", "dcterms.created",
        "dcterms.date", "pubdate", "publish_date", "publishdate", "parsely-pub-date", "citation_publication_date",
    ):  # fmt: skip
        if name in meta:
            return meta[name][0]
    for selector in (
        "[itemprop~=datePublished]",
        ".dt-published",
        "time[pubdate]",
        "time.published",
        "time.entry-date",
        "time[datetime]",
    ):
        node = article.css_first(selector) if article is not None else None
        node = node or tree.css_first(selector)
        if node is not None:
            return node.attributes.get("datetime") or node.attributes.get("content") or text_of(node).strip()
    for script in tree.css('script[type="application/ld+json"]')[:10]:
        if match := _LD_DATE.search(text_of(script)):
            return match.group(1)
    return ""


def _author(tree: LexborHTMLParser, article: Node | None, meta: dict[str, list[str]]) -> str:
    for name in ("author", "article:author", "dc.creator", "parsely-author"):
        if name in meta and not meta[name][0].startswith("http"):
            return meta[name][0]
    for selector in (
        "[itemprop~=author] [itemprop~=name]",
        ".p-author",
        "[rel~=author]",
        ".byline .author",
        ".author.vcard",
    ):
        node = tree.css_first(selector)
        if node is not None and 0 < len(name := " ".join(text_of(node).split())) < 80:
            return re.sub(r"^by\s+", "", name, flags=re.IGNORECASE)
    return ""
