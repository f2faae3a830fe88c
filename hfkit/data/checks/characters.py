"""Characters that should not be there, and the scripts of texts.

A script is that of letters: Latin, Cyrillic, Han, … English and German, or Russian and Bulgarian,
share theirs and are not told apart. Text that was read in a wrong encoding shows where it can be
turned back: the characters, written in Windows-1252, are valid UTF-8.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from itertools import groupby

from hfkit.data.checks.findings import MOST_PLACES, Findings
from hfkit.data.checks.texts import written_texts
from hfkit.data.checks.walk import Seen

LOST = "\ufffd"
# Control characters but tab and line ends; marks of direction and width that nobody sees. Joiners
# (U+200C, U+200D) belong to Persian, to Indian scripts and to emoji.
HIDDEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e"
    r"\u2060\u2066-\u2069\ufeff]"
)
DIRECTIONS = re.compile("[\u200e\u200f]")  # what a text in both directions needs between them
RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")  # Hebrew, Arabic, …
# Bytes of UTF-8 as Windows-1252 shows them; those that it lacks stay control characters.
_HIGH = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0xC0))
TAIL = f"[{re.escape(_HIGH)}]"
MOJIBAKE = re.compile(
    f"[ÂÃ]{TAIL}|â[{re.escape(_HIGH[:0x20])}]{TAIL}|ð{TAIL}{{3}}"  # é, “, emoji
    f"|(?:[Ä-ß]{TAIL}){{2,}}|(?:[à-ï]{TAIL}{{2}}){{2,}}"  # other scripts: two letters at least
)
# First code point of a range -> its script; "" for what is no letter of one.
RANGES = [
    (0x0000, ""), (0x0041, "Latin"), (0x005B, ""), (0x0061, "Latin"), (0x007B, ""),
    (0x00C0, "Latin"), (0x00D7, ""), (0x00D8, "Latin"), (0x00F7, ""), (0x00F8, "Latin"),
    (0x02B0, ""), (0x0370, "Greek"), (0x0400, "Cyrillic"), (0x0530, "Armenian"),
    (0x0590, "Hebrew"), (0x0600, "Arabic"), (0x0700, ""), (0x0750, "Arabic"), (0x0780, ""),
    (0x08A0, "Arabic"), (0x0900, "Devanagari"), (0x0980, "Bengali"), (0x0A00, "Gurmukhi"),
    (0x0A80, "Gujarati"), (0x0B00, "Oriya"), (0x0B80, "Tamil"), (0x0C00, "Telugu"),
    (0x0C80, "Kannada"), (0x0D00, "Malayalam"), (0x0D80, "Sinhala"), (0x0E00, "Thai"),
    (0x0E80, "Lao"), (0x0F00, "Tibetan"), (0x1000, "Myanmar"), (0x10A0, "Georgian"),
    (0x1100, "Hangul"), (0x1200, "Ethiopic"), (0x13A0, ""), (0x1780, "Khmer"), (0x1800, ""),
    (0x1E00, "Latin"), (0x1F00, "Greek"), (0x2000, ""), (0x3040, "Kana"), (0x3100, ""),
    (0x3130, "Hangul"), (0x3190, ""), (0x3400, "Han"), (0x4DC0, ""), (0x4E00, "Han"),
    (0xA000, ""), (0xAC00, "Hangul"), (0xD7B0, ""), (0xF900, "Han"), (0xFB00, "Latin"),
    (0xFB07, ""), (0xFB50, "Arabic"), (0xFE00, ""), (0xFE70, "Arabic"), (0xFEFF, ""),
    (0xFF21, "Latin"), (0xFF3B, ""), (0xFF41, "Latin"), (0xFF5B, ""), (0xFF66, "Kana"),
    (0xFFA0, ""), (0x20000, "Han"), (0x32000, ""),
]  # fmt: skip
_STARTS = [start for start, _ in RANGES]
LOOKALIKES = frozenset(("Latin", "Cyrillic", "Greek"))  # scripts with letters that look the same
WORD = re.compile(r"[^\W\d_]+")
FEWEST = 4  # letters by which a text has a script
MOSTLY = 0.8  # of the texts: then the others are odd ones
JOINT = {"Kana": "Han or Kana", "Han": "Han or Kana"}  # one language writes both


class Characters:
    """The characters of the texts of one part."""

    def __init__(self, part: str, findings: Findings, *, label_is_text: bool) -> None:
        self._part, self._findings, self._label_is_text = part, findings, label_is_text
        self._scripts: dict[str, Counter[str]] = {}
        self._places: dict[tuple[str, str], list[str]] = {}

    def see(self, seen: Seen) -> None:
        """Look at the texts of a row; each kind of damage counts once a row."""
        damage: set[str] = set()
        for role, text in written_texts(seen.row, label_is_text=self._label_is_text):
            script = "Latin"
            if not text.isascii():
                damage |= damages(text)
            elif HIDDEN.search(text):
                damage.add("text-control")
            script = script_of(text)
            if not script:
                continue
            self._scripts.setdefault(role, Counter())[script] += 1
            places = self._places.setdefault((role, script), [])
            if len(places) < MOST_PLACES:
                places.append(seen.record.place)
        for code in damage:
            self._findings.add(code, self._part, seen.record)

    def close(self) -> None:
        """Report texts in a script that is not that of most."""
        for role, counts in self._scripts.items():
            (most, count), *others = counts.most_common()
            if not others or count < MOSTLY * counts.total():
                continue
            for script, number in others:
                for place in self._places[role, script]:
                    self._findings.add("script-other", self._part, place, 0)
                reason = f"{script}; {most} in {count} of {counts.total()} (the {role})"
                self._findings.add("script-other", self._part, None, number, reason)

    def summary(self) -> dict[str, dict[str, int]]:
        """Role -> script -> how many texts are mostly written in it."""
        return {role: dict(counts.most_common()) for role, counts in self._scripts.items()}


def damages(text: str) -> set[str]:
    """The codes for what is wrong with the characters of a text.

    >>> sorted(damages("cafÃ© \\ufffd")), damages("café")
    (['text-broken', 'text-mojibake'], set())
    >>> damages("\\u200fשלום (abc)\\u200f"), damages("ab\\u200fc")
    (set(), {'text-control'})
    """
    found = set()
    if LOST in text:
        found.add("text-broken")
    if is_mojibake(text):
        found.add("text-mojibake")
    elif _is_hiding(text):
        found.add("text-control")
    if any(_is_mixed(word) for word in WORD.findall(text) if not word.isascii()):
        found.add("word-mixed")
    return found


def _is_hiding(text: str) -> bool:
    """Whether there are hidden marks, those aside that writing from right to left needs."""
    if HIDDEN.search(text) is None:
        return False
    return not RIGHT_TO_LEFT.search(text) or bool(HIDDEN.search(DIRECTIONS.sub("", text)))


def is_mojibake(text: str) -> bool:
    """Whether a text in UTF-8 was read in Windows-1252.

    >>> is_mojibake("naÃ¯ve"), is_mojibake("itâ€™s"), is_mojibake("NÃO, SÃO")
    (True, True, False)
    """
    return any(_turns_back(match[0]) for match in MOJIBAKE.finditer(text))


def _turns_back(found: str) -> bool:
    try:
        raw = b"".join(
            bytes([ord(one)]) if "\x80" <= one <= "\x9f" else one.encode("cp1252") for one in found
        )
        raw.decode()
    except UnicodeError:
        return False
    return True


def script_of(text: str) -> str:
    """The script of most letters; "" where there are hardly any.

    >>> script_of("Привет, Anna"), script_of("12 + 3"), script_of("東京へ行く")
    ('Cyrillic', '', 'Han or Kana')
    """
    if text.isascii():
        return "Latin" if len(re.findall("[A-Za-z]", text[:200])) >= FEWEST else ""
    counts: Counter[str] = Counter()
    for character, number in Counter(text).items():
        counts[_script(character)] += number
    del counts[""]
    if not counts or counts.total() < (1 if counts["Han"] else FEWEST):
        return ""
    best = counts.most_common(1)[0][0]
    return JOINT.get(best, best)


def _script(character: str) -> str:
    return RANGES[bisect_right(_STARTS, ord(character)) - 1][1]


def _is_mixed(word: str) -> bool:
    """Whether a word has letters of scripts that look alike, changing within it; symbols such as
    the µ of µm stand alone.

    >>> _is_mixed("p\\u0430ypal"), _is_mixed("Привет"), _is_mixed("β"), _is_mixed("Δt")
    (True, False, False, False)
    """
    runs = [(script, len(list(run))) for script, run in groupby(map(_script, word)) if script]
    kinds = {script for script, _ in runs}
    if len(kinds) < 2 or not kinds <= LOOKALIKES:
        return False
    if "Greek" in kinds and len(runs) == 2:  # a symbol and a unit or a name: Δt, IFNγ
        return False
    return len(word) >= FEWEST
