"""Find the names in a text: what is named, where it begins and ends.

    in    {"tokens": ["Anna", "Roth", "left", "Bern", "."],
           "label": ["B-PER", "I-PER", "O", "B-LOC", "O"]}
    or    {"text": "Anna Roth left Bern.",
           "label": [{"start": 0, "end": 9, "label": "PER"}, {"start": 15, "end": 19, …}]}
    out   {"entities": [{"label": "PER", "start": 0, "end": 9, "text": "Anna Roth", "score": 0.98},
                        {"label": "LOC", "start": 15, "end": 19, "text": "Bern", "score": 0.99}],
           "tags": ["B-PER", "I-PER", "O", "B-LOC", "O"]}         tags where there were tokens

The model tags tokens, people mark words. Each word is known by its first token: that one carries
the tag of the word, the others carry none (`IGNORED`), in training as in prediction. Offsets are
those of the given text; of tokens, those of the tokens joined by one space.

The detail that people get wrong is the word that is not where the model looks. A word that yields
no token still gets a tag: that of the entity around it, else O. A long text is read in overlapping
windows, each word is taken from the window in which it stands most central (in training it counts
there alone, so that every word counts once), and the whole text is decoded once, so that no entity
breaks at the border of a window. What lies behind the end of a text that is cut is missed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from hfkit.choices import stored_labels
from hfkit.errors import InputError, RowError
from hfkit.registry import TASKS
from hfkit.spans import (
    OUTSIDE,
    SCHEMES,
    Scheme,
    Span,
    convert,
    joined,
    log_softmax,
    recognise,
    scheme_of_labels,
    split,
    strict_spans,
    tags_of,
    transitions,
    viterbi,
)
from hfkit.targets import IGNORED
from hfkit.tasks.base import Answer, EncodedRow, LabelKind, Outputs, Row, Task
from hfkit.tasks.options import NerOptions
from hfkit.temperature import laid
from hfkit.windows import central
from hfkit.words import (
    Passage,
    furthest,
    misfits,
    on_characters,
    on_words,
    without_overlap,
    words_of_tokens,
)

if TYPE_CHECKING:
    from hfkit.text import Tokenizer

log = logging.getLogger(__name__)

Window = tuple[EncodedRow, Outputs]  # one of a row's, and what the model made of it


class Ner(Task[NerOptions]):
    """The names in a text: a label for each of them, with its place."""

    columns: ClassVar[Mapping[str, str]] = TASKS["ner"].columns
    label_kind: ClassVar[LabelKind] = "entities"
    token_outputs: ClassVar[tuple[str, ...]] = ("logits",)
    Options = NerOptions

    def __init__(self, options: NerOptions) -> None:
        super().__init__(options)
        self.scheme: Scheme = "iob2"  # of the labels
        self._said: set[str] = set()

    @property
    def auto_class(self) -> str:
        """The head of every family of transformers for one answer per token."""
        return "AutoModelForTokenClassification"

    @property
    def metric(self) -> str:
        """Entities are scored, not tags: most tags are O."""
        return "entities"

    @property
    def best(self) -> str:
        """Strict F1 over all entities."""
        return "f1"

    @property
    def loss(self) -> str:
        """One tag out of all, for the first token of each word."""
        return "cross_entropy"

    def learn(self, rows: Sequence[Row]) -> None:
        """Find the scheme and the labels: O first, the others sorted, as IOB2.

        Tags without prefixes stay as they are. Raises `RowError` for a tag of no scheme and
        `InputError` where there is no entity at all.
        """
        self.scheme = self._checked(rows)
        tags = {tag for row in rows for tag in self._tags(row)}
        marked = (span for row in rows for span in Passage.of(row).marked(row["label"]))
        types = {span.label for span in marked}  # also of those that tags leave out
        tags |= {joined("" if self.scheme == "io" else "B", label) for label in types}
        if tags <= {OUTSIDE}:
            raise InputError("no row has an entity; there is nothing to learn")
        self.labels = [OUTSIDE, *sorted(tags - {OUTSIDE})]

    def head(self) -> dict[str, Any]:
        """What config.json says of the head."""
        return {
            "num_labels": len(self.labels),
            "id2label": dict(enumerate(self.labels)),
            "label2id": {label: number for number, label in enumerate(self.labels)},
            "tag_scheme": self.scheme,
        }

    def restore(self, model_config: Mapping[str, Any]) -> None:
        """Take the labels of any model, and their scheme: as saved, as given, or as it looks."""
        self.labels = stored_labels(model_config)
        named = [model_config.get("tag_scheme"), self.options.scheme]
        known = (scheme for name in named for scheme in SCHEMES if scheme == name)
        self.scheme = next(known, scheme_of_labels(self.labels))

    def features(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """One encoded row per window. ``_words`` holds the number of each token's word, ``_last``
        that of the last word it reaches into, -1 where there is none."""
        windows: dict[int, list[EncodedRow]] = {}
        long: dict[str, Any] = {"on_long": self.options.on_long, "stride": self.options.stride}
        passages = [Passage.of(row) for row in rows]
        given = [number for number, passage in enumerate(passages) if passage.given]
        parts = tokenizer.encode_words([rows[number]["tokens"] for number in given], **long)
        for number, own in zip(given, parts, strict=True):
            windows[number] = [{**part, "_last": part["_words"]} for part in own]
        whole = [number for number, passage in enumerate(passages) if not passage.given]
        parts = tokenizer.encode([rows[number]["text"] for number in whole], located=True, **long)
        for number, own in zip(whole, parts, strict=True):
            windows[number] = own
            for part in own:
                offsets = part.pop("_starts"), part.pop("_ends")
                found = words_of_tokens(*offsets, passages[number].places)
                part["_words"], part["_last"] = found
        return [{**part, "_row": number} for number in range(len(rows)) for part in windows[number]]

    def targets(self, rows: Sequence[Row], encoded: Sequence[EncodedRow]) -> None:
        """Add ``labels``: a tag number where a word has its first token, in its central window."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        for number, windows in _by_row((part, {}) for part in encoded).items():
            parts = [part for part, _ in windows]
            for part in parts:
                part["labels"] = [IGNORED] * len(part["input_ids"])
            tags = self._tags(rows[number])
            chosen = central([part["_words"] for part in parts], len(tags))
            for tag, (window, place) in zip(tags, chosen, strict=True):
                if window >= 0:
                    parts[window]["labels"][place] = numbers[tag]

    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """The entities of each row; the score of one is the mean probability of its words' tags."""
        import numpy as np

        allowed = transitions(self.labels, self.scheme) if self.options.constrained else None
        windows, answers = _by_row(zip(encoded, outputs, strict=True)), []
        for number, row in enumerate(rows):
            parts, computed = zip(*windows[number], strict=True)
            passage = Passage.of(row)
            count = len(passage.places)
            chosen = central([part["_words"] for part in parts], count)
            seen = [word for word, (window, _) in enumerate(chosen) if window >= 0]
            logits = [computed[chosen[word][0]]["logits"][chosen[word][1]] for word in seen]
            scores = log_softmax(np.reshape(logits, (len(seen), len(self.labels))))
            path = scores.argmax(axis=1) if allowed is None else viterbi(scores, allowed)
            reach = ((part["_words"], part["_last"]) for part in parts)
            last = furthest(reach, count)
            tags = [self.labels[label] for label in path]
            found = strict_spans(tags, self.scheme)
            spans = [
                Span(seen[start], last[seen[end - 1]] + 1, label) for start, end, label in found
            ]
            entities = passage.entities(on_characters(spans, passage.places))
            for entity, (start, end, _) in zip(entities, found, strict=True):
                chances = np.exp([scores[place, path[place]] for place in range(start, end)])
                entity["score"] = laid(float(chances.mean()), self.decisions)
            answer = {"entities": entities, "tokens" if passage.given else "words": passage.words}
            answer["tags"] = self._all_tags(tags, seen, tags_of(spans, count))
            if any(part.get("_truncated") for part in parts):
                answer["truncated"] = True
            answers.append(answer)
        return answers

    def _all_tags(self, tags: list[str], seen: list[int], around: list[str]) -> list[str]:
        """The tags of the words that were seen; of the others, those of the entities around."""
        written = tags if self.scheme == self._written else convert(tags, self._written)
        every = convert(around, self._written)
        for word, tag in zip(seen, written, strict=True):
            every[word] = tag
        return every

    def brief(self, answer: Answer) -> Answer:
        """The entities; tags only where words were given."""
        hidden = {"tokens", "words"} | (set() if "tokens" in answer else {"tags"})
        return {key: value for key, value in answer.items() if key not in hidden}

    def gold(self, rows: Sequence[Row]) -> list[Answer]:
        """The entities as they are marked, overlapping ones included; tags as `decode` writes them.

        Entities of a type that the model does not know are there to be missed. Raises `RowError`
        where there are no others, and for a tag of no scheme.
        """
        scheme = self._checked(rows)
        if not self.labels:  # predictions are scored without their model
            self.scheme = scheme
        answers = []
        for row in rows:
            passage = Passage.of(row)
            answer: Answer = {"entities": passage.entities(sorted(passage.marked(row["label"])))}
            if passage.given:
                answer["tags"] = convert(row["label"], self._written)
            if row.get("document") is not None:
                answer["document"] = row["document"]
            answers.append(answer)
        self._check_types([[one["label"] for one in answer["entities"]] for answer in answers])
        return answers

    def _check_types(self, types: Sequence[Sequence[str]]) -> None:
        known = {split(label)[1] for label in self.labels} - {""}
        unknown = [(row, one) for row, own in enumerate(types) for one in own if one not in known]
        if not known or not unknown:
            return
        shown = ", ".join(f'"{name}"' for name in sorted(known)[:20])
        row, label = unknown[0]
        if len(unknown) == sum(map(len, types)):
            problem = f'entity type "{label}" was not seen at training; known: {shown}'
            raise RowError(problem, row=row)
        names = ", ".join(f'"{name}"' for name in sorted({one for _, one in unknown}))
        what = f"entities of a type that was not seen at training: {len(unknown)}"
        note = f"{what} ({names}; the first in row {row + 1}); they count as missed; known: {shown}"
        self._say(logging.WARNING, note)

    @property
    def _written(self) -> Scheme:
        """How tags are written in answers: IOB2, unless the model's have no prefixes."""
        return "io" if self.scheme == "io" else "iob2"

    def _tags(self, row: Row) -> list[str]:
        """The tag of each word; of entities that overlap, those of the longest."""
        if row.get("tokens") is not None:
            return convert(row["label"], self._written)
        marked, places = _marked_words(row)
        kept, _ = without_overlap(on_words(marked, places).spans)
        return tags_of(kept, len(places), self._written)

    def _checked(self, rows: Sequence[Row]) -> Scheme:
        """Look through marked rows, say what is odd, and return the scheme to learn them in."""
        in_words = [row.get("tokens") is not None for row in rows]
        pairs = zip(rows, in_words, strict=True)
        texts = (((), ()) if given else _marked_words(row) for row, given in pairs)
        for what, (count, first) in misfits(texts).items():
            note = f"entities that {what}: {count} (the first in row {first + 1})"
            self._say(logging.WARNING, note)
        if not any(in_words):
            return "iob2"
        tags = [row["label"] if given else [] for row, given in zip(rows, in_words, strict=True)]
        found = recognise(tags, self.options.scheme)
        self._say(logging.INFO, f"the tags are {found.scheme} ({found.reason})")
        if found.violations:
            odd = f"tags that are not as {found.scheme} has them: {found.violations}"
            self._say(logging.WARNING, f"{odd}; an entity begins where one has no beginning")
        return "io" if found.scheme == "io" else "iob2"

    def _say(self, level: int, note: str) -> None:
        """Tell the user, once: the same validation rows are looked through many times."""
        if note not in self._said:
            self._said.add(note)
            log.log(level, note)


def _marked_words(row: Row) -> tuple[list[Span], list[tuple[int, int]]]:
    passage = Passage.of(row)
    return passage.marked(row["label"]), passage.places


def _by_row(pairs: Iterable[Window]) -> dict[int, list[Window]]:
    found: dict[int, list[Window]] = {}
    for part, output in pairs:
        found.setdefault(part["_row"], []).append((part, output))
    return found
