"""Findings: what is wrong, how bad it is, how often, where first, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from hfkit.data.record import Record

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
MOST_PLACES = 5
MOST_REASONS = 5


class Kind(NamedTuple):
    """What all findings of one code have in common. An error makes training fail or learn what is
    wrong; a warning may; a note is there to be known."""

    severity: Severity
    what: str
    remedy: str


LEFT_OUT = "mend them, or leave them out with --on-bad-row skip"
TWICE = "keep one of each; what stands twice counts twice"
LEAK = "take them out of one of the files; scores on rows that were learnt are too good"
PERSONAL = "hfkit check FILE --redact -o COPY writes a copy without them"

# In the order of the report.
KINDS: dict[str, Kind] = {
    "row-unreadable": Kind("error", "rows that cannot be read", LEFT_OUT),
    "text-missing": Kind("error", "rows whose text is missing or empty", LEFT_OUT),
    "text-bad": Kind("error", "rows whose text is none, or of another form", LEFT_OUT),
    "label-missing": Kind("error", "rows whose label is missing", LEFT_OUT),
    "label-bad": Kind("error", "rows whose label cannot be used", LEFT_OUT),
    "label-single": Kind(
        "error", "there is one label only, and nothing to tell apart", "add rows of another label"
    ),
    "label-unseen": Kind(
        "error", "rows with a label that the training data do not have",
        "add training rows of it, or take these rows out",
    ),
    "tag-misfit": Kind(
        "error", "tags that fit in with no scheme", "write a prefix and a type, as B-PER, or O"
    ),
    "answer-bad": Kind(
        "error", "answers that stand nowhere in their context, or cannot be read", LEFT_OUT
    ),
    "entity-bad": Kind("error", "entities or tags that do not fit their text", LEFT_OUT),
    "label-imbalance": Kind(
        "warning", "the most frequent label is far more frequent than the rarest",
        "--class-weights balanced; look at the F1 of each label, not at accuracy",
    ),
    "label-rare": Kind(
        "warning", "labels with fewer than 5 training rows", "add rows, or merge labels"
    ),
    "label-spelling": Kind(
        "warning", "labels that may be one, written in several ways",
        "write them in one way; --strict-labels refuses them",
    ),
    "label-conflict": Kind(
        "warning", "rows with the same text as another row, and another label",
        "decide which label is right; several labels of one text are a list",
    ),
    "type-unseen": Kind(
        "warning", "entities of a type that the training data do not have", "they count as missed"
    ),
    "tag-order": Kind(
        "warning", "tags that may not follow the tag before them",
        "begin each entity with B-; an entity begins where one has no beginning",
    ),
    "entity-edge": Kind(
        "warning", "entities that begin or end within a word, the whole of which is learnt",
        "move their offsets to the edges of words",
    ),
    "entity-wordless": Kind("warning", "entities that hold no word", "take them out"),
    "entity-overlap": Kind(
        "warning", "entities that overlap with a longer one, which is learnt", "keep one of them"
    ),
    "entity-twice": Kind("warning", "entities that stand twice in their text", "keep one of them"),
    "answer-moved": Kind(
        "warning", "answers that are not at their offset, and were found elsewhere",
        "mend the offsets; they count characters from 0",
    ),
    "answer-absent": Kind(
        "warning", "answers that stand nowhere in their context, beside one that does",
        "they are kept for scoring alone",
    ),
    "text-duplicate": Kind("warning", "rows that stood before, character for character", TWICE),
    "text-alike": Kind(
        "warning", "rows that stood before, but for case, white space or Unicode form", TWICE
    ),
    "text-near": Kind("warning", "rows that nearly stood before (four fifths are the same)", TWICE),
    "leak-same": Kind("warning", "rows with a text that is in the other data", LEAK),
    "leak-alike": Kind(
        "warning", "rows with a text of the other data, but for case, white space, Unicode form",
        LEAK,
    ),
    "leak-near": Kind(
        "warning", "rows with a text that is nearly one of the other data", LEAK
    ),
    "length-cut": Kind(
        "warning", "texts that are longer than the model reads, and are cut",
        "--max-length N, a model that reads more, or shorter texts",
    ),
    "text-broken": Kind(
        "warning", "texts with U+FFFD, which stands for characters that were lost",
        "make the file anew from its source, in the right encoding",
    ),
    "text-mojibake": Kind(
        "warning", "texts in UTF-8 that were read as another encoding (Ã© for é)",
        "make the file anew from its source, in the right encoding",
    ),
    "text-control": Kind(
        "warning", "texts with control characters or hidden marks", "take them out"
    ),
    "word-mixed": Kind(
        "warning", "texts with a word of letters of several scripts (a Cyrillic а in a Latin word)",
        "look at them: such words are other words to a model",
    ),
    "personal-email": Kind("warning", "e-mail addresses", PERSONAL),
    "personal-phone": Kind("warning", "telephone numbers", PERSONAL),
    "personal-iban": Kind("warning", "bank accounts (IBAN)", PERSONAL),
    "personal-card": Kind("warning", "numbers of payment cards", PERSONAL),
    "personal-ip": Kind("warning", "public IP addresses", PERSONAL),
    "personal-key": Kind("warning", "API keys, tokens, private keys", PERSONAL),
    "length-window": Kind(
        "note", "texts that are longer than a window, and are read in several", "--max-length N"
    ),
    "script-other": Kind(
        "note", "texts mostly in another script than most",
        "look at them; languages of one script are not told apart",
    ),
}  # fmt: skip


@dataclass
class Finding:
    """All that was found of one code in one part of the data."""

    code: str
    part: str
    count: int = 0
    places: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def kind(self) -> Kind:
        """What is common to its code."""
        return KINDS[self.code]

    def to_json(self) -> dict[str, Any]:
        """Plain data: code, severity, what, part, count, places, reasons, remedy."""
        kind = self.kind
        return {
            "code": self.code,
            "severity": kind.severity,
            "what": kind.what,
            "part": self.part,
            "count": self.count,
            "places": self.places,
            "reasons": dict(self.reasons.most_common(MOST_REASONS)),
            "remedy": kind.remedy,
        }


class Findings:
    """What the checks of all parts have found."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Finding] = {}

    def add(
        self,
        code: str,
        part: str,
        place: Record | str | None = None,
        count: int = 1,
        reason: str = "",
    ) -> None:
        """Count something found at a place; the first places are kept."""
        finding = self._found.get((code, part))
        if finding is None:
            finding = self._found[code, part] = Finding(code, part)
        finding.count += count
        if reason:
            finding.reasons[reason] += count
        if place is not None and len(finding.places) < MOST_PLACES:
            where = place if isinstance(place, str) else place.place
            if where not in finding.places:
                finding.places.append(where)

    def wants_place(self, code: str, part: str) -> bool:
        """Whether a further place would be kept."""
        found = self._found.get((code, part))
        return found is None or len(found.places) < MOST_PLACES

    def listed(self) -> list[Finding]:
        """All findings, the worst first, then in the order of `KINDS`."""
        order = {code: number for number, code in enumerate(KINDS)}
        return sorted(
            self._found.values(),
            key=lambda one: (SEVERITIES.index(one.kind.severity), order[one.code]),
        )

    def counts(self) -> Mapping[Severity, int]:
        """How many kinds of fault there are of each severity."""
        found = Counter(one.kind.severity for one in self._found.values())
        return {severity: found[severity] for severity in SEVERITIES}
