"""Entities of a text, from the ways in which tools write them to one form.

    tags        ["B-PER", "O"]                       for each word; kept as they are, of any scheme
    triples     [[0, 5, "PER"]]                      doccano, spaCy
    objects     [{"start": 0, "end": 5, "label": "PER"}]    Prodigy, doccano with relations
    lists       [{"start": 0, "end": 5, "labels": ["PER"]}]     Label Studio; UTF-16 offsets
    surfaces    {"PER": {"Anna": [[0, 3]]}}          CLUENER; the end is part of the entity

What leaves here is a list of tags, or a list of ``{"start", "end", "label"}`` in the order of the
text: characters, the end not included. The way is recognised at the first row that has entities and
holds for all rows of a file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hfkit.data.cells import structured
from hfkit.data.display import kind_of, shown, whole
from hfkit.data.labels import LabelReader
from hfkit.errors import InputError

log = logging.getLogger(__name__)

Shape = Literal["tags", "triples", "objects", "lists", "surfaces", "nothing", ""]
Found = tuple[Any, Any, Any, Any]  # start, end, label, surface or None; as the file has them
Entity = dict[str, Any]

STARTS = ("start", "start_offset", "begin")
ENDS = ("end", "end_offset")
NAMES = ("label", "labels", "entity_group", "type", "tag")
SAID = {
    "tags": "a tag for each word",
    "triples": "lists of start, end and label",
    "objects": "objects with start, end and label",
    "lists": "objects with a list of labels, as Label Studio has them",
    "surfaces": "objects of label, text and places, as CLUENER has them (the end is included)",
}


def shape_of(cell: Any) -> Shape:
    """Return the way in which a cell writes entities: "nothing" where it has none, "" for no way.

    >>> shape_of([[0, 5, "PER"]]), shape_of(["O"]), shape_of([]), shape_of("a name")
    ('triples', 'tags', 'nothing', '')
    >>> shape_of({"PER": {"Anna": [[0, 3]]}}), shape_of([{"start": 0, "end": 5, "label": "PER"}])
    ('surfaces', 'objects')
    """
    value = structured(cell)
    if isinstance(value, Mapping):
        return _shape_of_object(value)
    if not isinstance(value, (list, tuple)):
        return ""
    if not value:
        return "nothing"
    first = value[0]
    if isinstance(first, (str, int)) and not isinstance(first, bool):
        return "tags"
    if isinstance(first, (list, tuple)):
        return "triples" if len(first) == 3 and not isinstance(first[0], (list, dict)) else ""
    if isinstance(first, Mapping) and _key(first, STARTS) and _key(first, ENDS):
        return "lists" if isinstance(first.get("labels"), (list, tuple)) else "objects"
    return ""


def _shape_of_object(value: Mapping[Any, Any]) -> Shape:
    filled = [inner for inner in value.values() if inner is not None]  # Parquet fills up with null
    if not filled:
        return "nothing"
    if not all(isinstance(inner, Mapping) for inner in filled):
        return ""
    places = [places for inner in filled for places in inner.values() if places is not None]
    return "surfaces" if all(isinstance(place, (list, tuple)) for place in places) else ""


@dataclass
class EntityReader:
    """Turns the label cells of one file into entities or tags. `labels` knows the names of tags
    that are numbers."""

    labels: LabelReader = field(default_factory=LabelReader)
    shape: Shape = ""
    utf16: int = 0  # texts whose offsets counted UTF-16 units
    twice: int = 0  # entities that stood twice

    def read(self, cell: Any, text: str | None, tokens: Sequence[str] | None) -> list[Any]:
        """Return the tags of `tokens`, or the entities of `text`.

        Raises `InputError`, without a place, for offsets outside the text, an entity that is not
        the text at its place, and a number of tags that is not that of the words.
        """
        if cell is None:
            raise InputError("the entities are missing", hint="write [] where there are none")
        value = structured(cell)
        shape = shape_of(value)
        if not shape:
            raise InputError(f"these are no entities: {_what(value)}", hint="see docs/formats.md")
        if tokens is not None:
            return self._tags(value, shape, len(tokens))
        if shape == "tags":
            raise InputError("there are tags and no words", hint="name them with --tokens-column")
        if shape == "nothing":
            return []
        self._settle(shape)
        assert text is not None
        return self._entities(value, text)

    def numbers(self, cells: Iterable[Any]) -> Iterator[int]:
        """Yield the tags that are numbers."""
        for cell in cells:
            value = structured(cell)
            for item in value if isinstance(value, (list, tuple)) else ():
                if isinstance(item, int) and not isinstance(item, bool):
                    yield item

    def tell(self, source: str) -> None:
        """Log what was recognised and what was done."""
        if self.shape and self.shape != "tags":
            log.info("%s: entities are %s", source, SAID[self.shape])
        if self.utf16:
            text = "%s: offsets count UTF-16 units in %d texts and were turned into characters"
            log.info(text, source, self.utf16)
        if self.twice:
            log.warning("%s: entities that stood twice and count once: %d", source, self.twice)

    def _settle(self, shape: Shape) -> None:
        if not self.shape:
            self.shape = shape
        elif self.shape != shape:
            raise InputError(f"entities are {SAID[shape]} here, {SAID[self.shape]} before")

    def _tags(self, value: Any, shape: Shape, count: int) -> list[str]:
        if shape == "nothing" and not isinstance(value, Mapping):
            raise InputError(f"no tags for {_counted(count, 'word')}")
        if shape != "tags":
            problem = f"expected a tag for each word, got {SAID.get(shape, 'an object')}"
            raise InputError(problem, hint="name the text of the row with --text-column")
        if len(value) != count:
            raise InputError(f"{_counted(len(value), 'tag')} for {_counted(count, 'word')}")
        self._settle(shape)
        return [self._tag(number, item) for number, item in enumerate(value, 1)]

    def _tag(self, number: int, item: Any) -> str:
        if isinstance(item, str) and item.strip():
            return item
        if isinstance(item, int) and not isinstance(item, bool):
            if self.labels.label_names is None:
                hint = "give their names with --label-names FILE"
                raise InputError(f"the tags are numbers ({item})", hint=hint)
            return self.labels.name_of(item)
        raise InputError(f"tag {number} is {'empty' if isinstance(item, str) else kind_of(item)}")

    def _entities(self, value: Any, text: str) -> list[Entity]:
        units = _Utf16(text) if self.shape == "lists" and not _is_basic(text) else None
        entities: list[Entity] = []
        for number, found in enumerate(self._each(value), 1):
            try:
                entity = _checked(found, text, units)
            except InputError as error:
                problem = f"entity {number} {error.message}"
                raise InputError(problem, hint=error.hint) from error
            if entity in entities:
                self.twice += 1
            else:
                entities.append(entity)
        self.utf16 += units is not None and units.used
        return sorted(entities, key=lambda one: (one["start"], one["end"]))

    def _each(self, value: Any) -> Iterator[Found]:
        if self.shape == "surfaces":
            yield from _surfaces(value)
            return
        for number, item in enumerate(value, 1):
            if self.shape == "triples":
                if not isinstance(item, (list, tuple)) or len(item) != 3:
                    problem = f"entity {number}: expected start, end and label, got {_what(item)}"
                    raise InputError(problem)
                yield item[0], item[1], item[2], None
                continue
            if not isinstance(item, Mapping):
                raise InputError(f"entity {number}: expected an object, got {kind_of(item)}")
            yield from _of_object(number, item)


def _of_object(number: int, item: Mapping[str, Any]) -> Iterator[Found]:
    keys = [_key(item, names) for names in (STARTS, ENDS, NAMES)]
    for key, what in zip(keys, ("start", "end", "label"), strict=True):
        if not key:
            raise InputError(f"entity {number} has no {what}")
    start, end, label = (item[key] for key in keys)
    surface = item.get("text")
    for name in label if isinstance(label, (list, tuple)) else [label]:
        yield start, end, name, surface if isinstance(surface, str) else None


def _surfaces(value: Mapping[str, Any]) -> Iterator[Found]:
    """The entities of a CLUENER cell, the end made exclusive."""
    for label, texts in value.items():
        for surface, places in (texts or {}).items():
            for place in places or ():
                if not isinstance(place, (list, tuple)) or len(place) != 2:
                    problem = f"{shown(surface)}: expected start and end, got {_what(place)}"
                    raise InputError(problem)
                start, end = place
                yield start, end + 1 if isinstance(end, int) else end, label, surface


def _checked(found: Found, text: str, units: _Utf16 | None) -> Entity:
    """Return an entity whose offsets lie in the text and cut out what the file says they do."""
    start, end, label, surface = found
    start, end = _whole(start, "start"), _whole(end, "end")
    if not isinstance(label, str) or not label.strip():
        raise InputError(f"has no label, but {_what(label)}")
    if units is not None:
        start, end = units.characters(start, end, surface)
    if not 0 <= start < end:
        raise InputError(f"has the start {whole(start)} and the end {whole(end)}")
    if end > len(text):
        raise InputError(f"ends at {whole(end)}, the text has {_counted(len(text), 'character')}")
    if surface is not None and text[start:end] != surface:
        hint = "the end seems to be included" if text[start : end + 1] == surface else ""
        problem = f"({start} to {end}) is {shown(text[start:end])} in the text"
        raise InputError(f"{problem}, {shown(surface)} in the label", hint=hint)
    return {"start": start, "end": end, "label": label}


class _Utf16:
    """Offsets into a text as JavaScript counts them: two for a character beyond U+FFFF."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._character = [0]
        for index, character in enumerate(text, 1):
            self._character += [index] if character <= "\uffff" else [-1, index]
        self.used = False

    def characters(self, start: int, end: int, surface: str | None) -> tuple[int, int]:
        """Return the offsets in characters; unchanged where only so the text is the surface."""
        most = len(self._character)
        if 0 <= start < most and 0 <= end < most:
            found = self._character[start], self._character[end]
            fits = surface is None or self._text[found[0] : found[1]] == surface
            if -1 not in found and fits:
                self.used = self.used or found != (start, end)
                return found
        return start, end


def _whole(value: Any, what: str) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"has the {what} {_what(value)}, not a whole number")
    return value


def _is_basic(text: str) -> bool:
    return all(character <= "\uffff" for character in text)


def _key(item: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((name for name in names if item.get(name) is not None), "")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _what(value: Any) -> str:
    if isinstance(value, str):
        return shown(value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return str(value) if number else kind_of(value)
