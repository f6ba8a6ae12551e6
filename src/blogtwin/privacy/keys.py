"""Keys, tokens and passwords in a text. In: any text, code included. Out: their places.

The forms that services give their keys are detect-secrets' own patterns; nothing is ever verified over the network. A string
that looks random and has no known form counts only where the words before it say that it is a secret: hashes, identifiers and
checksums stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

_BLOCK = re.compile(
    r"-----BEGIN (?P<what>[A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?)-----(?P<key>(?:(?!-----)[\s\S]){16,20000})-----END (?P=what)-----"
)
_SHORT_ENOUGH = (
    2000  # characters of a word that are looked at: patterns of others must not meet a megabyte without a space
)
_LONG = 20  # characters of the shortest token of a known form
# What such a token has in it: a plain search is cheaper than twenty patterns over every word.
_MARKS = re.compile(
    r"A3T|A(?:K|G|ID|RO|IP|NP|NV|S)[IA]A|gh[pousr]_|github_pat_|gl[a-z]{2,5}-|xox[abpors]-|hooks\.slack\.com|k_live_|T3BlbkFJ|sk-ant-"
    r"|sk-proj-|eyJ|AC[a-z0-9]{32}|SK[a-z0-9]{32}|SG\.|-us\d|sq0|:AA|[MNO][\w-]{23,25}\.|pypi-|npm_|AIza|://[^\s/:@]{1,64}:[^\s/@]+@"
)
# Not in detect-secrets 1.5.
_NEWER = (
    re.compile(r"github_pat_[A-Za-z0-9_]{40,90}"),
    re.compile(r"sk-(?:ant|proj)-[A-Za-z0-9_-]{20,200}"),
    re.compile(r"AIza[A-Za-z0-9_-]{35}"),
    re.compile(r"npm_[A-Za-z0-9]{36}"),
)
_PASSWORD_IN_ADDRESS = re.compile(r"://[^\s/:@]{1,64}:([^\s/:@]{6,128})@[\w.-]+")
_SECRET_WORDS = ("secret", "token", "passw", "passphrase", "bearer", "credential", "key")
_QUALIFIED = re.compile(
    r"(?:api|access|auth|secret|private|client|bearer|refresh|session|consumer|account|signing|encryption|[a-z0-9])[ _-]$|api$",
    re.I,
)
_VALUE = re.compile(
    r"[\w-]{0,20}[\"'`\]]{0,2}[ \t]{0,3}(?:=>|:=|=|:|\bis\b|(?<=[Bb]earer)|(?<=BEARER))[ \t]{0,3}[\"'`]{0,2}"
    r"(?P<value>[A-Za-z0-9+/_=-]{16,256})(?![\w./(-])"
)
_PLACEHOLDER = re.compile(
    r"example|sample|dummy|test|foo|your|xxx|\.\.\.|placeholder|changeme|1234567|abcdefg|000000|secret|passw|token|deadbeef|user|\$|<|\{",
    re.IGNORECASE,
)


def find(text: str) -> Iterator[tuple[int, int]]:
    """The places of private keys, of tokens of a known form, and of random strings that are called a secret."""
    if "PRIVATE KEY" in text:
        for match in _BLOCK.finditer(text):
            yield match.span("key")
    at = 0
    for token in text.split():
        if len(token) >= _LONG and _MARKS.search(token, 0, _SHORT_ENOUGH):
            at = text.index(token, at)
            yield from ((at + start, at + end) for start, end in _known(token[:_SHORT_ENOUGH]))
    lower = text.lower()
    for word in _SECRET_WORDS:
        at = lower.find(word)
        while at >= 0:
            end = at + len(word)
            if word not in ("key", "token") or _QUALIFIED.search(text, max(0, at - 12), at):
                said = _VALUE.match(text, end)
                if said and _looks_random(said.group("value")):
                    yield said.span("value")
                end = said.end() if said else end
            at = lower.find(word, end)


def _known(token: str) -> Iterator[tuple[int, int]]:
    for detector in _detectors():
        for pattern in detector.denylist:
            for match in pattern.finditer(token):
                if _PLACEHOLDER.search(match.group()) or _all_alike(match.group()):
                    continue
                if hasattr(detector, "is_formally_valid") and not detector.is_formally_valid(match.group()):
                    continue
                yield match.span()
    for pattern in _NEWER:
        for match in pattern.finditer(token):
            if not _PLACEHOLDER.search(match.group()) and not _all_alike(match.group()):
                yield match.span()
    for match in _PASSWORD_IN_ADDRESS.finditer(token):
        if not _PLACEHOLDER.search(match.group(1)) and not match.group(1).endswith(("]", ")", ">", "key")):
            yield match.span(1)


@cache
def _detectors() -> tuple[Any, ...]:
    from detect_secrets.plugins import (
        aws,
        discord,
        github_token,
        gitlab_token,
        jwt,
        mailchimp,
        openai,
        pypi_token,
        sendgrid,
        slack,
        square_oauth,
        stripe,
        telegram_token,
        twilio,
    )

    return (
        aws.AWSKeyDetector(),
        discord.DiscordBotTokenDetector(),
        github_token.GitHubTokenDetector(),
        gitlab_token.GitLabTokenDetector(),
        jwt.JwtTokenDetector(),
        mailchimp.MailchimpDetector(),
        openai.OpenAIDetector(),
        pypi_token.PypiTokenDetector(),
        sendgrid.SendGridDetector(),
        slack.SlackDetector(),
        square_oauth.SquareOAuthDetector(),
        stripe.StripeDetector(),
        telegram_token.TelegramBotTokenDetector(),
        twilio.TwilioKeyDetector(),
    )


def _all_alike(value: str) -> bool:
    """A row of the same few signs is what a writer puts where a key would stand."""
    return len(set(value[-12:].lower())) < 5


def _looks_random(value: str) -> bool:
    """Digits among letters, spread as chance spreads them, and no name in words, no identifier."""
    from detect_secrets.filters.heuristic import is_potential_uuid, is_sequential_string
    from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString, HexHighEntropyString

    if _PLACEHOLDER.search(value) or not any(map(str.isdigit, value)) or not any(map(str.isalpha, value)):
        return False
    if is_potential_uuid(value) or is_sequential_string(value):
        return False
    if re.fullmatch(r"[0-9a-fA-F]+", value):
        return bool(HexHighEntropyString(3.0).calculate_shannon_entropy(value) > 3.0)
    if re.fullmatch(r"(?:[A-Za-z]+[0-9]{0,4}|[0-9]{1,4})(?:[-_/+][A-Za-z]*[0-9]{0,4})*", value):  # words and numbers
        return False
    return bool(Base64HighEntropyString(3.5).calculate_shannon_entropy(value) > 3.5)
