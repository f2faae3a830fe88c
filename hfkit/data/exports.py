"""From rows to the records of other tools: entities and answers in each tool's own spelling.

The opposite of `entities` and `answers`. A function here makes one record of one row; what it has
no place for is counted in `losses`. Entities of a text become tags of its words: `words.find_words`
cuts the words, the longest of entities that overlap is kept. Tags become entities of the words
joined by single spaces, read as conlleval reads them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from hfkit.data.column_names import LabelKind
from hfkit.data.record import Fields
from hfkit.spans import SCHEMES, Scheme, Span, convert, lenient_spans, tags_of
from hfkit.words import find_words, on_characters, on_words, token_offsets, without_overlap

Row = dict[str, Any]
Losses = Counter[str]

KEEP = "keep"  # tags as they are
# What annotation tools write beside the data; it would say nothing in another file.
# `annotations` is the number of those of a task of Label Studio.
OF_TOOLS = frozenset(
    (
        *("answer", "_input_hash", "_task_hash", "_session_id", "_view_id", "_is_binary"),
        *("_timestamp", "annotations"),
    )
)


class Item(NamedTuple):
    """A row, and the other fields of its record."""

    row: Row
    rest: Fields


class Marked(NamedTuple):
    """A text with its entities and the places of its words, which may be unknown."""

    text: str
    spans: list[Span]
    words: list[tuple[int, int]] | None


Shape = Callable[[Item, str, Losses], Fields | None]


def as_marked(item: Item) -> Marked:
    """Return a row as a text with spans of characters."""
    row = item.row
    if "tokens" in row:
        words = token_offsets(row["tokens"])
        return Marked(
            " ".join(row["tokens"]), on_characters(lenient_spans(row["label"]), words), words
        )
    spans = [Span(one["start"], one["end"], one["label"]) for one in row["label"]]
    return Marked(row["text"], spans, _words_of_prodigy(row["text"], item.rest.get("tokens")))


def _words_of_prodigy(text: str, tokens: Any) -> list[tuple[int, int]] | None:
    """The words that Prodigy has cut, where they are inside the text and in order."""
    found: list[tuple[int, int]] = []
    end = 0
    for one in tokens if isinstance(tokens, list) else ():
        start, stop = (one.get("start"), one.get("end")) if isinstance(one, Mapping) else (0, 0)
        if not isinstance(start, int) or not isinstance(stop, int) or not end <= start < stop:
            return None
        found.append((start, stop))
        end = stop
    return found if found and end <= len(text) else None


def as_words(item: Item, scheme: str, losses: Losses) -> tuple[list[str], list[str]]:
    """Return the words of a row and a tag for each."""
    row = item.row
    wanted: Scheme = next((one for one in SCHEMES if one == scheme), "iob2")
    if "tokens" in row:
        same = scheme == KEEP
        return row["tokens"], row["label"] if same else convert(row["label"], wanted)
    marked = as_marked(item)
    words = find_words(marked.text) if marked.words is None else marked.words
    fitted = on_words(marked.spans, words)
    kept, overlapping = without_overlap(fitted.spans)
    losses["entities that begin or end within a word and were widened to it"] += fitted.widened
    losses["entities without a word, left out"] += fitted.wordless
    losses["entities that overlap a longer one, left out"] += overlapping
    tokens = [marked.text[start:end] for start, end in words]
    return tokens, tags_of(kept, len(words), wanted)


def _with_rest(fields: Fields, item: Item, losses: Losses) -> Fields:
    """Add the other fields of the record; one whose name is taken has no place."""
    for name, value in item.rest.items():
        if name in OF_TOOLS or (name == "tokens" and "text" in item.row):
            continue
        if name in fields:
            losses[f"rows with {name!r}, whose name is taken"] += 1
        else:
            fields[name] = value
    return fields


def _with_document(fields: Fields, item: Item) -> Fields:
    return {**fields, "document": item.row["document"]} if "document" in item.row else fields


def tokens(item: Item, scheme: str, losses: Losses) -> Fields | None:
    """``{"tokens": [...], "tags": [...]}``, as on the Hub; nothing for a text without words."""
    words, tags = as_words(item, scheme, losses)
    if not words:
        losses["texts without a word, left out"] += 1
        return None
    return _with_rest(_with_document({"tokens": words, "tags": tags}, item), item, losses)


def spans(item: Item, scheme: str, losses: Losses) -> Fields:
    """``{"text": …, "entities": [{"start", "end", "label"}]}``."""
    marked = as_marked(item)
    entities = [{"start": one.start, "end": one.end, "label": one.label} for one in marked.spans]
    fields = _with_document({"text": marked.text, "entities": entities}, item)
    return _with_rest(fields, item, losses)


def doccano(item: Item, scheme: str, losses: Losses) -> Fields:
    """``{"text": …, "label": [[start, end, label]]}``."""
    marked = as_marked(item)
    fields = _with_document({"text": marked.text, "label": _triples(marked)}, item)
    return _with_rest(fields, item, losses)


def spacy(item: Item, scheme: str, losses: Losses) -> Fields:
    """``{"text": …, "entities": [[start, end, label]]}``."""
    marked = as_marked(item)
    fields = _with_document({"text": marked.text, "entities": _triples(marked)}, item)
    return _with_rest(fields, item, losses)


def _triples(marked: Marked) -> list[list[Any]]:
    return [[one.start, one.end, one.label] for one in marked.spans]


def prodigy(item: Item, scheme: str, losses: Losses) -> Fields:
    """``{"text": …, "tokens": [...], "spans": [...], "answer": "accept"}``; words where known."""
    marked = as_marked(item)
    fields: Fields = {"text": marked.text}
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    if marked.words is not None:
        fields["tokens"] = [
            {"text": marked.text[start:end], "start": start, "end": end, "id": number}
            for number, (start, end) in enumerate(marked.words)
        ]
        starts = {start: number for number, (start, _) in enumerate(marked.words)}
        ends = {end: number for number, (_, end) in enumerate(marked.words)}
    fields["spans"] = []
    for one in marked.spans:
        span: Fields = {"start": one.start, "end": one.end, "label": one.label}
        if one.start in starts and one.end in ends:  # the last word is part of the span
            span |= {"token_start": starts[one.start], "token_end": ends[one.end]}
        fields["spans"].append(span)
    return {**_with_rest(_with_document(fields, item), item, losses), "answer": "accept"}


def label_studio(item: Item, scheme: str, losses: Losses) -> Fields:
    """A task with one annotation; offsets count UTF-16 units."""
    marked = as_marked(item)
    units = [0]
    for character in marked.text:
        units.append(units[-1] + (1 if character <= "\uffff" else 2))
    result = [
        {
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "value": {
                "start": units[one.start],
                "end": units[one.end],
                "text": marked.text[one.start : one.end],
                "labels": [one.label],
            },
        }
        for one in marked.spans
    ]
    data = _with_rest(_with_document({"text": marked.text}, item), item, losses)
    data.pop("annotations", None)
    head = {"id": data.pop("id")} if "id" in data else {}
    return {**head, "data": data, "annotations": [{"was_cancelled": False, "result": result}]}


def cluener(item: Item, scheme: str, losses: Losses) -> Fields:
    """``{"text": …, "label": {label: {text: [[start, end]]}}}``, the end included."""
    marked = as_marked(item)
    label: dict[str, dict[str, list[list[int]]]] = {}
    for one in marked.spans:
        surfaces = label.setdefault(one.label, {})
        surfaces.setdefault(marked.text[one.start : one.end], []).append([one.start, one.end - 1])
    return _with_rest(_with_document({"text": marked.text, "label": label}, item), item, losses)


def table(item: Item, scheme: str, losses: Losses) -> Fields | None:
    """Words with tags, or a text with entities, as the row has them."""
    return (tokens if "tokens" in item.row else spans)(item, scheme, losses)


def answers(item: Item, scheme: str, losses: Losses) -> Fields:
    """The Hub's SQuAD: ``{"question", "context", "answers": {"text": [...], "answer_start"}}``."""
    found = item.row["label"]
    own = {
        "question": item.row["question"],
        "context": item.row["context"],
        "answers": {
            "text": [one["text"] for one in found],
            "answer_start": [one["start"] for one in found],
        },
    }
    return _ids_first(item, own, losses)


def flat_answers(item: Item, scheme: str, losses: Losses) -> Fields:
    """For CSV: the first answer and its start; both empty where there is none."""
    found: Sequence[Mapping[str, Any]] = item.row["label"]
    different = {(one["text"], one["start"]) for one in found}
    losses["answers beyond the first one of a question"] += max(len(different) - 1, 0)
    own = {
        "question": item.row["question"],
        "context": item.row["context"],
        "answer": found[0]["text"] if found else "",
        "answer_start": found[0]["start"] if found else "",
    }
    return _ids_first(item, own, losses)


def _ids_first(item: Item, own: Fields, losses: Losses) -> Fields:
    head: Fields = {name: item.rest[name] for name in ("id", "title") if name in item.rest}
    others = {name: value for name, value in item.rest.items() if name not in head}
    return _with_rest({**head, **own}, item._replace(rest=others), losses)


def as_it_is(item: Item, scheme: str, losses: Losses) -> Fields:
    """The fields of the record."""
    return item.rest


# Format -> how one record is shaped, and the kind of file it stands in.
OF_ENTITIES: dict[str, tuple[Shape, str]] = {
    "conll": (tokens, "conll"),
    "tokens": (tokens, "jsonl"),
    "spans": (spans, "jsonl"),
    "doccano": (doccano, "jsonl"),
    "prodigy": (prodigy, "jsonl"),
    "label-studio": (label_studio, "json"),
    "spacy": (spacy, "jsonl"),
    "cluener": (cluener, "jsonl"),
}
TABLES = ("jsonl", "json", "csv", "tsv", "parquet")
FORMATS: dict[LabelKind, dict[str, tuple[Shape, str]]] = {
    "entities": {**OF_ENTITIES, **{name: (table, name) for name in TABLES}},
    "answers": {
        "squad": (answers, "squad"),
        **{name: (answers, name) for name in ("jsonl", "json", "parquet")},
        **{name: (flat_answers, name) for name in ("csv", "tsv")},
    },
    "labels": {name: (as_it_is, name) for name in TABLES},
    "scores": {name: (as_it_is, name) for name in TABLES},
    "texts": {name: (as_it_is, name) for name in TABLES},
}
