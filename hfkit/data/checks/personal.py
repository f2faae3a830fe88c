"""Personal data in texts: e-mail, phone, bank account, payment card, IP address, keys and tokens.

Where a kind of value has a checksum or a parser, what looks like one must pass it: a card Luhn's
(ISO/IEC 7812-1), an IBAN the remainder modulo 97 and the length of its country (ISO 13616), an
address the module `ipaddress`. Phone numbers have none: they count in international form, in the
North American one, and behind a word such as "tel". Names and street addresses are not looked for.

Values are found to be counted and masked; nothing here returns one in a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

from hfkit.redaction import SHAPES

# What any value has: without it none of the expressions below is tried.
HINT = re.compile(
    r"@|[0-9](?:[ .()/-]{0,3}[0-9]){5}|[0-9]\.[0-9]{1,3}\.[0-9]|[0-9a-fA-F]:[0-9a-fA-F:]"
    r"|\b(?:[A-Za-z]{2,8}[_-]|A[KS]IA|AIza|eyJ)|PRIVATE KEY"
)
EMAIL = re.compile(
    r"(?<![\w.+%-])[\w+%-](?:[\w.+%-]{0,62}[\w+%-])?@"
    r"[^\W_](?:[\w-]{0,62})(?:\.[^\W_][\w-]{0,62}){0,6}\.[^\W\d_]{2,24}(?![\w-])"
)
IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
DIGITS = re.compile(r"(?<![\w.,+-])[0-9](?:[ -]?[0-9]){12,18}(?![\w-]|[.,][0-9])")
IPV4 = re.compile(r"(?<![\w.-])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w-]|\.[0-9])")
IPV6 = re.compile(r"(?<![\w:.])[23][0-9a-fA-F]{3}(?::[0-9a-fA-F]{0,4}){2,7}(?![\w:])")
VERSION = re.compile(
    r"(?:\b(?:versions?|release|build|kernel|firmware|driver|section|v|ver|rev)[ .:#=]{0,3})$",
    re.IGNORECASE,
)
PHONE = re.compile(
    r"(?<![\w+.])\+[1-9](?:[ .()/-]{0,2}[0-9]){6,14}(?![\w]|[.,][0-9])"  # international
    r"|(?<![\w.+-])(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[-.])[2-9][0-9]{2}[-.][0-9]{4}"
    r"(?![\w-]|\.[0-9])"  # North American
)
SPOKEN = re.compile(
    r"(?:\b(?:tel|telephone|phone|mobile|cell|fax|telefon|handy|mobil|téléphone|tél|teléfono)\b"
    r"|电话|手机|電話|携帯)[ .:：=#]{0,3}(\(?[0-9](?:[ .()/-]{0,2}[0-9]){5,14})(?![\w])",
    re.IGNORECASE,
)
KEY = re.compile(
    SHAPES.pattern + r"|\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{22,}"
    r"|\bglpat-[A-Za-z0-9_-]{20,}|\bA[KS]IA[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{35}"
    r"|\bxox[abprs]-[0-9A-Za-z-]{10,}|\bnpm_[A-Za-z0-9]{36}\b|\bpypi-[A-Za-z0-9_-]{40,}"
    r"|\b[rs]k_live_[0-9A-Za-z]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
    r"|-----BEGIN (?:[A-Z]{2,10} ){0,3}PRIVATE KEY-----"
    r"(?:[A-Za-z0-9+/=\s]*+-----END (?:[A-Z]{2,10} ){0,3}PRIVATE KEY-----)?"
)
# Length of an IBAN by country, from the registry of SWIFT.
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BI": 27, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27,
    "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32,
    "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24,
    "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31,
    "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23,
    "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip
# First digits that issuers of cards have, and how many digits theirs are.
CARDS = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|5[1-5][0-9]{14}|2(?:2[2-9]|[3-6][0-9]|7[01])[0-9]{13}|2720[0-9]{12}"
    r"|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|6(?:011|5[0-9]{2}|4[4-9][0-9])[0-9]{12}"
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12}|62[0-9]{14,17}"
)


class Found(NamedTuple):
    """Where a value stands in a text, and of which kind it is."""

    start: int
    end: int
    kind: str


def find(text: str) -> list[Found]:
    """Return the values in a text, in order, none over another.

    >>> [one.kind for one in find("write to anna@example.org, or call +41 44 668 18 00")]
    ['email', 'phone']
    >>> find("version 1.2.3.4 of 2024-01-31, order 4111111111111112")
    []
    """
    if not HINT.search(text):
        return []
    found: list[Found] = []
    for kind, places in FINDERS:
        for start, end in places(text):
            if all(end <= one.start or start >= one.end for one in found):
                found.append(Found(start, end, kind))
    return sorted(found)


def masked(text: str) -> str:
    """Return a text with each value replaced by its kind.

    >>> masked("write to anna@example.org")
    'write to [EMAIL]'
    """
    return Masked(text).text


class Masked:
    """A text with its values masked, and where its places went."""

    def __init__(self, text: str) -> None:
        self.before, self.found = text, find(text)
        parts: list[str] = []
        end = 0
        self._moves: list[tuple[int, int, int, int]] = []  # old start and end, new start and end
        size = 0
        for one in self.found:
            mask = f"[{one.kind.upper()}]"
            parts += [text[end : one.start], mask]
            size += one.start - end
            self._moves.append((one.start, one.end, size, size + len(mask)))
            size += len(mask)
            end = one.end
        self.text = "".join([*parts, text[end:]])

    def place(self, offset: int, *, end: bool) -> int:
        """Where an offset of the text is now; within a value, the edge of its mask."""
        shift = 0
        for start, stop, new_start, new_stop in self._moves:
            if offset <= start:
                break
            if offset < stop:
                return new_stop if end else new_start
            shift = new_stop - stop
        return offset + shift


def _matches(pattern: re.Pattern[str]) -> Callable[[str], Iterator[tuple[int, int]]]:
    return lambda text: (match.span() for match in pattern.finditer(text))


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in IBAN.finditer(text):
        end = _iban_end(match.group())
        if end:
            yield match.start(), match.start() + end


def _iban_end(given: str) -> int:
    """How many characters of what begins like an IBAN are one; 0 for none: words may follow it."""
    wanted = IBAN_LENGTHS.get(given[:2], 0)
    account = ""
    for end, character in enumerate(given, 1):
        account += "" if character in " -" else character
        if wanted and len(account) == wanted:
            whole = end == len(given) or not given[end].isalnum()
            return end if whole and is_iban(account) else 0
    return 0


def is_iban(account: str) -> bool:
    """Whether letters and digits pass the check of an IBAN.

    >>> is_iban("GB82WEST12345698765432"), is_iban("GB83WEST12345698765432")
    (True, False)
    """
    if len(account) != IBAN_LENGTHS.get(account[:2]) or not account.isalnum():
        return False
    digits = "".join(str(int(character, 36)) for character in account[4:] + account[:4])
    return int(digits) % 97 == 1


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for match in DIGITS.finditer(text):
        number = re.sub("[ -]", "", match.group())
        if CARDS.fullmatch(number) and is_luhn(number):
            yield match.span()


def is_luhn(number: str) -> bool:
    """Whether the last digit is the check digit of those before it.

    >>> is_luhn("4111111111111111"), is_luhn("4111111111111112")
    (True, False)
    """
    digits = [int(digit) for digit in reversed(number)]
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + doubled) % 10 == 0


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    """Public addresses; those of one's own network and of documents belong to nobody."""
    for match in IPV4.finditer(text):
        before = text[max(0, match.start() - 24) : match.start()]
        if not VERSION.search(before) and _is_public(IPv4Address, match.group()):
            yield match.span()
    for match in IPV6.finditer(text):
        if _is_public(IPv6Address, match.group()):
            yield match.span()


def _is_public(kind: type[IPv4Address] | type[IPv6Address], given: str) -> bool:
    try:
        address = kind(given)
    except AddressValueError:
        return False
    return address.is_global and not address.is_multicast


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for match in PHONE.finditer(text):
        yield match.span()
    for match in SPOKEN.finditer(text):
        yield match.span(1)


# The kinds that can be checked come first; digits of theirs are no phone number.
FINDERS: tuple[tuple[str, Callable[[str], Iterator[tuple[int, int]]]], ...] = (
    ("key", _matches(KEY)),
    ("email", _matches(EMAIL)),
    ("iban", _ibans),
    ("card", _cards),
    ("ip", _addresses),
    ("phone", _phones),
)
KINDS = tuple(kind for kind, _ in FINDERS)
