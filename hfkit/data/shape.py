"""Which task the columns of a file are for.

Columns that the user names come first, then what the structure shows, then usual names. A text with
a label is classification, as is everything that shows nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from hfkit.config import Columns
from hfkit.data import cells
from hfkit.data.answers import is_answers
from hfkit.data.column_names import IDS, LABELS, MATCHES, OTHERS, PAIRS, TEXT, TOKENS, Names, plain
from hfkit.data.display import shown
from hfkit.data.entities import shape_of
from hfkit.data.record import Fields
from hfkit.data.written import guess_written

NLI = frozenset(("entailment", "contradiction", "neutral", "contradictory", "not_entailment"))
SPANS = ("triples", "objects", "lists", "surfaces")
ENTITY_LABELS = frozenset[str]().union(*LABELS["entities"])
ANSWER_LABELS = frozenset[str]().union(*LABELS["answers"])

Guess = tuple[str, str]


def infer_task(names: Sequence[str], sample: Sequence[Fields], chosen: Columns) -> Guess:
    """Return the name of a task and the reason for it, in a few words.

    `sample` are the first records of the file. A pair of texts with 0 and 1 is classification: the
    reason says how to ask for similarity.

    >>> infer_task(["question", "context", "answers"], [], Columns())
    ('qa', "the columns 'question' and 'context'")
    >>> infer_task(["text", "label"], [{"text": "fine", "label": "pos"}], Columns())
    ('classification', 'a text and its label')
    """
    columns = _Columns(list(names), sample)
    for guess in (_qa, _entities, _matches, _prompts, _written, _pair):
        found = guess(columns, chosen)
        if found:
            return found
    return "classification", "a text and its label"


class _Columns:
    """The columns of a file by their names, with the first values of each."""

    def __init__(self, names: list[str], sample: Sequence[Fields]) -> None:
        self.by_plain = {plain(name): name for name in names}
        self.names = names
        self.sample = sample

    def __contains__(self, word: str) -> bool:
        return word in self.by_plain

    def values(self, name: str) -> list[Any]:
        return [fields[name] for fields in self.sample if fields.get(name) not in (None, "")]

    def named(self, names: Names, fits: Callable[[str], bool] = lambda name: True) -> str:
        """Return the first column with such a name; empty where there is none."""
        found = [name for word, name in self.by_plain.items() if word in names and fits(name)]
        return found[0] if found else ""


def _qa(columns: _Columns, chosen: Columns) -> Guess | None:
    if chosen.context_column or chosen.question_column:
        return "qa", "the column that you name"
    question, context = (frozenset[str]().union(*OTHERS[role]) for role in ("question", "context"))
    asked, read = columns.named(question), columns.named(context)
    answered = columns.named(ANSWER_LABELS)
    places = columns.named(ANSWER_LABELS, lambda name: any(map(is_answers, columns.values(name))))
    if "question" in columns and "context" in columns:
        return "qa", "the columns 'question' and 'context'"
    if asked and read and asked != read and (places or (answered and plain(read) != "text")):
        return "qa", f"the columns {shown(asked)}, {shown(read)} and {shown(answered)}"
    return None


def _entities(columns: _Columns, chosen: Columns) -> Guess | None:
    if chosen.tokens_column:
        return "ner", "the column that you name"

    def holds(shapes: Sequence[str]) -> Callable[[str], bool]:
        return lambda name: any(shape_of(value) in shapes for value in columns.values(name))

    def are_words(name: str) -> bool:
        return _nearly_all(cells.are_words, columns.values(name))

    wanted = frozenset((plain(chosen.label_column),)) if chosen.label_column else ENTITY_LABELS
    words = columns.named(TOKENS[0] | TOKENS[1], are_words)
    if words:
        tags = columns.named(wanted - {plain(words)}, holds(("tags",)))
        if tags:
            return "ner", f"the words in {shown(words)} and a tag for each in {shown(tags)}"
    spans = columns.named(wanted, holds(SPANS))
    if spans and (chosen.text_column or columns.named(TEXT)):
        return "ner", f"the places in the text in {shown(spans)}"
    return None


def _matches(columns: _Columns, chosen: Columns) -> Guess | None:
    if chosen.negative_column:
        return "similarity", "the column that you name"
    for first, second in MATCHES:
        if second == "positive" and first in columns and second in columns:
            return "similarity", f"the columns {first!r} and {second!r}"
    return None


def _prompts(columns: _Columns, chosen: Columns) -> Guess | None:
    """A prompt with its completion, or a conversation."""
    if chosen.prompt_column or chosen.messages_column:
        return "generation", "the column that you name"
    talks = columns.named(
        frozenset[str]().union(*OTHERS["messages"]),
        lambda name: any(map(cells.are_messages, columns.values(name))),
    )
    if talks:
        return "generation", f"the messages in {shown(talks)}"
    if "prompt" in columns and "completion" in columns:
        return "generation", "the columns 'prompt' and 'completion'"
    return None


def _written(columns: _Columns, chosen: Columns) -> Guess | None:
    """A text and its summary, or translations; a label that the user names is something else."""
    return guess_written(columns.names, columns.sample, chosen.label_column)


def _pair(columns: _Columns, chosen: Columns) -> Guess | None:
    """Two texts: the label tells numbers from names; without one they belong together."""
    pair = next(((a, b) for a, b in PAIRS if a in columns and b in columns), None)
    pair = pair or _nameless(columns)
    if pair is None and not chosen.text_pair_column:
        return None
    used = {chosen.text_column, chosen.text_pair_column, *(columns.by_plain[n] for n in pair or ())}
    free = [n for n in columns.names if n not in used and plain(n) not in IDS]
    if chosen.label_column:
        label = chosen.label_column
    else:
        named = [n for tier in LABELS["scores"] for n in free if plain(n) in tier]
        label = (named or free or [""])[0]
    if not label or label not in columns.names:
        return None if label else ("similarity", "pairs of texts without a label")
    values = columns.values(label)
    if not values:
        return None
    words = {str(value).strip().lower() for value in values}
    if words & NLI:
        return "classification", f"the labels of language inference in {shown(label)}"
    numbers = [value for value in values if cells.is_number(value)]
    if _nearly_all(cells.is_number, values) and any(map(_is_fraction, numbers)):
        others = [n for n in free if n != label and _has_names(columns.values(n))]
        more = f"; for the labels in {shown(others[0])} use -t nli" if others else ""
        return "similarity", f"two texts and the score in {shown(label)}{more}"
    if words <= {"0", "1", "true", "false"}:
        return "classification", "two texts with 0 or 1; for vectors of texts use -t similarity"
    return None


def _nameless(columns: _Columns) -> tuple[str, str] | None:
    """The two columns of a file without a header that are not numbers, if the third one is."""
    if len(columns.names) != 3 or not all(re.fullmatch(r"column\d", n) for n in columns.names):
        return None
    texts = [name for name in columns.names if not all(map(cells.is_number, columns.values(name)))]
    return (texts[0], texts[1]) if len(texts) == 2 else None


def _nearly_all(fits: Callable[[Any], bool], values: Sequence[Any]) -> bool:
    """Whether more than four of five values fit: an odd one is a bad row, to be told as such.

    >>> _nearly_all(str.isdigit, list("12345x")), _nearly_all(str.isdigit, list("1x"))
    (True, False)
    """
    return sum(map(fits, values)) * 5 > len(values) * 4


def _is_fraction(value: Any) -> bool:
    """Whether a number is written as one that may have a fraction.

    >>> _is_fraction("3.0"), _is_fraction(2.5), _is_fraction("3"), _is_fraction(1)
    (True, True, False, False)
    """
    return isinstance(value, float) or (isinstance(value, str) and "." in value)


def _has_names(values: Sequence[Any]) -> bool:
    words = {value.strip().lower() for value in values if isinstance(value, str)}
    return bool(words & NLI)
