"""Entities as spans and as tags: schemes read, checked and converted; the best possible tags.

A *tag* is a prefix and a type: ``B-PER`` begins a person, ``I-PER`` goes on with it, ``O`` is
outside of all entities. Schemes differ in what they mark:

    words   Anna   Schmidt  met    Bo      Li     in   Bern
    io      PER    PER      O      PER     PER    O    LOC      neighbours of one type melt
    iob1    I-PER  I-PER    O      I-PER   I-PER  O    I-LOC    B- only between two of one type
    iob2    B-PER  I-PER    O      B-PER   I-PER  O    B-LOC    every entity begins with B-
    bioes   B-PER  E-PER    O      B-PER   E-PER  O    S-LOC    ends with E-; S- is a single word
    bmes    M- in place of I-                                   bilou   L- for E-, U- for S-

A *span* is ``(start, end, label)`` with the end exclusive; it counts words or characters. The one
fact to know: a conversion replaces prefixes and nothing else. A type may hold ``B-`` inside
(``B-JOB-TITLE``), and replacing text there has broken more than one script.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from hfkit.errors import RowError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scheme = Literal["io", "iob1", "iob2", "bioes", "bmes", "bilou"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
OUTSIDE = "O"
UNNAMED = "_"  # the type of a bare "B" or "I"

# The prefixes of each scheme, and what each means in the words of BIOES.
LETTERS: dict[Scheme, dict[str, str]] = {
    "io": {},
    "iob1": {"B": "B", "I": "I"},
    "iob2": {"B": "B", "I": "I"},
    "bioes": {"B": "B", "I": "I", "E": "E", "S": "S"},
    "bmes": {"B": "B", "M": "I", "E": "E", "S": "S"},
    "bilou": {"B": "B", "I": "I", "L": "E", "U": "S"},
}
MEANING = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}


class Span(NamedTuple):
    """An entity: words or characters `start` to `end` (exclusive) are a `label`."""

    start: int
    end: int
    label: str


class Recognised(NamedTuple):
    """The scheme of a set of tags, why it is that, and how many tags are not as it wants them."""

    scheme: Scheme
    reason: str
    violations: int


def split(tag: str) -> tuple[str, str]:
    """Return prefix and type; the prefix is empty where the tag has none.

    >>> split("B-JOB-TITLE"), split("O"), split("PER"), split("I")
    (('B', 'JOB-TITLE'), ('O', ''), ('', 'PER'), ('I', '_'))
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    if tag in MEANING:
        return tag, UNNAMED
    if tag[1:2] == "-" and tag[0] in MEANING and len(tag) > 2:
        return tag[0], tag[2:]
    return "", tag


def joined(prefix: str, label: str) -> str:
    """The inverse of `split`.

    >>> joined("I", "JOB-TITLE"), joined("B", "_"), joined("", "PER")
    ('I-JOB-TITLE', 'B', 'PER')
    """
    if prefix == OUTSIDE:
        return OUTSIDE
    if not prefix:
        return label
    return prefix if label == UNNAMED else f"{prefix}-{label}"


def recognise(
    sequences: Sequence[Sequence[str]], scheme: Scheme | Literal["auto"] = "auto"
) -> Recognised:
    """Find the scheme of tag sequences, or check that they are of a given one.

    The prefixes decide; between IOB1 and IOB2, which have the same, the one that fewer tags
    violate. Raises `RowError` (counting the sequences) for a tag that fits in with no scheme.

    >>> recognise([["I-PER", "I-PER", "O", "I-LOC"]])[0]
    'iob1'
    >>> recognise([["B-PER", "I-PER", "O", "I-LOC"]])
    Recognised(scheme='iob2', reason='entities begin with B-', violations=1)
    """
    counts = Counter(tag for tags in sequences for tag in tags)
    for tag in counts:
        if not isinstance(tag, str) or not tag.strip() or tag[1:] == "-":
            raise _misfit(sequences, tag, "is no tag", "write a prefix and a type, as B-PER, or O")
    letters = {split(tag)[0] for tag in counts} - {OUTSIDE}
    found, reason = (
        _by_letters(sequences, letters, counts) if scheme == "auto" else (scheme, "as given")
    )
    allowed = set(LETTERS[found]) or {""}
    for tag in counts:
        if tag != OUTSIDE and split(tag)[0] not in allowed:
            raise _misfit(sequences, tag, f"is not of the scheme {found}", _spelled(found))
    return Recognised(found, reason, violations(sequences, found))


def _by_letters(
    sequences: Sequence[Sequence[str]], letters: set[str], counts: Counter[str]
) -> tuple[Scheme, str]:
    if not letters:
        return "iob2", "no word is in an entity"
    if letters == {""}:
        _refuse_other_spellings(sequences, counts)
        return "io", "tags have no prefix; neighbouring words of one tag are one entity"
    if "" in letters:
        odd = next(tag for tag in counts if not split(tag)[0])
        raise _misfit(sequences, odd, "has no prefix, others have", "write B-PER and I-PER, or O")
    known = [name for name in SCHEMES if letters <= set(LETTERS[name])]
    if not known:
        rare = Counter(split(tag)[0] for tag in counts).most_common()[-1][0]
        odd = next(tag for tag in counts if split(tag)[0] == rare)
        shown = ", ".join(sorted(letters))
        hint = f"known schemes: {', '.join(SCHEMES)}"
        raise _misfit(sequences, odd, f"is of no known scheme: prefixes {shown}", hint)
    if letters <= {"B", "I"}:
        if violations(sequences, "iob1") < violations(sequences, "iob2"):
            return "iob1", "entities begin with I-, unless they follow one of their type"
        return "iob2", "entities begin with B-"
    name = next(name for name in known if name not in ("iob1", "iob2"))
    return name, f"there are prefixes {', '.join(sorted(letters - {'B', 'I'}))}"


def _refuse_other_spellings(sequences: Sequence[Sequence[str]], counts: Counter[str]) -> None:
    """Tags that look like prefix and type in other letters would pass as types of their own."""
    for tag in counts:
        if len(tag) > 2 and tag[1] == "-" and tag[0].upper() in MEANING:
            raise _misfit(sequences, tag, "has a small prefix", "write B-PER, not b-per")
        if len(tag) > 2 and tag[-2] == "-" and tag[-1] in MEANING:
            raise _misfit(sequences, tag, "has its prefix at the end", "write B-PER, not PER-B")


def _misfit(sequences: Sequence[Sequence[str]], tag: Any, what: str, hint: str) -> RowError:
    rows = [number for number, tags in enumerate(sequences) if tag in tags]
    more = f" ({len(rows)} rows)" if len(rows) > 1 else ""
    shown = f'"{tag}"' if isinstance(tag, str) else repr(tag)
    return RowError(f"tag {shown:.60} {what}{more}", row=rows[0], hint=hint)


def _spelled(scheme: Scheme) -> str:
    prefixes = ", ".join(f"{letter}-" for letter in LETTERS[scheme]) or "no prefix"
    return f"it has {prefixes} and O"


def scheme_of_labels(labels: Sequence[str]) -> Scheme:
    """The scheme of the labels of a model, which come without the texts they stand in.

    A type with an ``I-`` and no ``B-`` can only be IOB1. Labels that are of no scheme are read
    as ``io``: neighbours of one label are one entity.

    >>> scheme_of_labels(["O", "B-LOC", "I-LOC", "I-PER"])
    'iob1'
    >>> scheme_of_labels(["O", "U-PER", "B-PER", "L-PER"]), scheme_of_labels(["DET", "NOUN"])
    ('bilou', 'io')
    """
    parts = [split(label) for label in labels if label != OUTSIDE]
    letters = {prefix for prefix, _ in parts}
    if "" in letters or not parts:
        return "io"
    if letters <= {"B", "I"}:
        begun = {label for prefix, label in parts if prefix == "B"}
        return "iob2" if begun >= {label for _, label in parts} else "iob1"
    return next((name for name in SCHEMES if letters <= set(LETTERS[name])), "io")


def follows(previous: tuple[str, str], tag: tuple[str, str], scheme: Scheme) -> bool:
    """Whether a tag may stand after another; both as `split` gives them, ``O`` before the first
    and after the last word.

    >>> follows(("O", ""), ("I", "PER"), "iob2"), follows(("B", "PER"), ("I", "PER"), "iob2")
    (False, True)
    """
    (before, last), (prefix, label) = previous, tag
    before, prefix = MEANING.get(before, before), MEANING.get(prefix, prefix)
    same = last == label
    if scheme == "iob2":
        return prefix != "I" or (before in ("B", "I") and same)
    if scheme == "iob1":
        return prefix != "B" or (before in ("B", "I") and same)
    if scheme == "io":
        return True
    if before in ("B", "I"):
        return prefix in ("I", "E") and same
    return prefix in ("O", "B", "S")


def violations(sequences: Iterable[Sequence[str]], scheme: Scheme) -> int:
    """Count the tags that may not stand where they stand.

    >>> violations([["B-PER", "I-LOC"], ["B-PER", "I-PER"]], "iob2")
    1
    """
    count = 0
    for tags in sequences:
        parts = [(OUTSIDE, ""), *map(split, tags), (OUTSIDE, "")]
        count += sum(not follows(before, after, scheme) for before, after in pairwise(parts))
    return count


def lenient_spans(tags: Sequence[str]) -> list[Span]:
    """Read the entities of any scheme as conlleval does (CoNLL-2000 shared task).

    A prefix that should not be there still gives an entity: ``I-PER`` after ``O`` begins one. On
    tags without violations this is what the scheme says. It is also seqeval's default mode.

    >>> lenient_spans(["I-PER", "B-PER", "I-PER", "I-LOC"])
    [Span(start=0, end=1, label='PER'), Span(start=1, end=3, label='PER'), Span(start=3, end=4, label='LOC')]
    """  # noqa: E501
    found: list[Span] = []
    start = 0
    before, last = OUTSIDE, ""
    for position, tag in enumerate([*tags, OUTSIDE]):
        prefix, label = split(tag)
        prefix = MEANING.get(prefix, prefix or "I")
        broken = label != last or prefix in ("B", "S") or before in ("E", "S")
        if before != OUTSIDE and (broken or prefix == OUTSIDE):
            found.append(Span(start, position, last))
        if prefix != OUTSIDE and (broken or before == OUTSIDE):
            start = position
        before, last = prefix, label
    return found


def strict_spans(tags: Sequence[str], scheme: Scheme) -> list[Span]:
    """Read only the entities that are tagged exactly as the scheme says; seqeval's strict mode.

    >>> strict_spans(["I-PER", "O", "B-LOC", "I-LOC"], "iob2")
    [Span(start=2, end=4, label='LOC')]
    """
    if scheme == "io":
        return lenient_spans(tags)
    parts = [(MEANING.get(prefix, prefix), label) for prefix, label in map(split, tags)]
    parts.append((OUTSIDE, ""))
    found: list[Span] = []
    position = 0
    while position < len(tags):
        before = parts[position - 1] if position else (OUTSIDE, "")
        prefix, label = parts[position]
        start = position
        position += 1
        if not _begins(before, prefix, label, scheme):
            continue
        within = [("I", label)] if scheme in ("iob1", "iob2") else [("I", label), ("E", label)]
        while prefix in ("B", "I") and parts[position] in within:
            prefix = parts[position][0]
            position += 1
        if _ends(prefix, label, parts[position], scheme):
            found.append(Span(start, position, label))
    return found


def _begins(before: tuple[str, str], prefix: str, label: str, scheme: Scheme) -> bool:
    if scheme == "iob2":
        return prefix == "B"
    if scheme != "iob1":
        return prefix in ("B", "S")
    if prefix == "B":  # only where an entity of its type has just ended
        return before[0] in ("B", "I") and before[1] == label
    return prefix == "I" and before != ("I", label)


def _ends(prefix: str, label: str, after: tuple[str, str], scheme: Scheme) -> bool:
    if scheme == "iob1":  # as seqeval: a B- before the B- of another type is neither's
        return not (prefix == "B" and after[0] == "B" and after[1] != label)
    return scheme == "iob2" or prefix in ("E", "S")


def tags_of(spans: Iterable[Span], length: int, scheme: Scheme = "iob2") -> list[str]:
    """Spans of words as one tag per word. The spans may not overlap.

    >>> tags_of([Span(0, 2, "PER"), Span(2, 3, "PER")], 4, "bilou")
    ['B-PER', 'L-PER', 'U-PER', 'O']
    """
    spelled = {meaning: letter for letter, meaning in LETTERS[scheme].items()}
    tags = [OUTSIDE] * length
    for start, end, label in sorted(spans):
        for position in range(start, end):
            first, last = position == start, position == end - 1
            meaning = ("S" if last else "B") if first else ("E" if last else "I")
            if scheme in ("iob1", "iob2"):
                follower = start > 0 and split(tags[start - 1])[1] == label
                meaning = "B" if first and (scheme == "iob2" or follower) else "I"
            tags[position] = joined(spelled.get(meaning, ""), label)
    return tags


def convert(tags: Sequence[str], scheme: Scheme = "iob2") -> list[str]:
    """Tags of any scheme as those of another, read as `lenient_spans` reads them.

    >>> convert(["I-PER", "I-PER", "B-PER", "O"])
    ['B-PER', 'I-PER', 'B-PER', 'O']
    """
    return tags_of(lenient_spans(tags), len(tags), scheme)


class Transitions(NamedTuple):
    """Which of C labels may come first ``[C]``, after each other ``[C, C]`` and last ``[C]``."""

    first: NDArray[Any]
    between: NDArray[Any]
    last: NDArray[Any]


def transitions(labels: Sequence[str], scheme: Scheme) -> Transitions:
    """What the scheme allows, for the labels of a model in the order of its outputs."""
    import numpy as np

    outside, parts = (OUTSIDE, ""), [split(label) for label in labels]
    return Transitions(
        np.array([follows(outside, tag, scheme) for tag in parts], dtype=bool),
        np.array([[follows(one, two, scheme) for two in parts] for one in parts], dtype=bool),
        np.array([follows(tag, outside, scheme) for tag in parts], dtype=bool),
    )


def viterbi(log_probabilities: NDArray[Any], allowed: Transitions) -> NDArray[Any]:
    """The most probable path through ``[T, C]`` log-probabilities that keeps to what is allowed.

    Returns ``[T]`` label numbers. Without any path that is allowed (labels that lack an end, say)
    it is the best label of each word (Viterbi, IEEE Trans. Information Theory 13, 1967).
    """
    import numpy as np

    best: NDArray[Any] = log_probabilities.argmax(axis=1)
    if not len(best) or _keeps(best, allowed):
        return best  # no path can be more probable than the best label of each word
    bars = np.where(allowed.between, 0.0, -np.inf)
    score = np.where(allowed.first, log_probabilities[0], -np.inf)
    came_from = np.zeros(log_probabilities.shape, dtype=np.int64)
    for position in range(1, len(log_probabilities)):
        candidates = score[:, None] + bars
        came_from[position] = candidates.argmax(axis=0)
        score = candidates.max(axis=0) + log_probabilities[position]
    score = np.where(allowed.last, score, -np.inf)
    if not np.isfinite(score.max()):
        return best
    path = np.empty(len(best), dtype=np.int64)
    path[-1] = score.argmax()
    for position in range(len(best) - 1, 0, -1):
        path[position - 1] = came_from[position, path[position]]
    return path


def _keeps(path: NDArray[Any], allowed: Transitions) -> bool:
    between = allowed.between[path[:-1], path[1:]]
    return bool(allowed.first[path[0]] and allowed.last[path[-1]] and between.all())


def log_softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """The logarithm of the softmax over the last axis, in double precision.

    >>> import numpy as np
    >>> np.exp(log_softmax(np.array([[0.0, 1000.0]]))).tolist()
    [[0.0, 1.0]]
    """
    import numpy as np

    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    scores: NDArray[Any] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return scores
