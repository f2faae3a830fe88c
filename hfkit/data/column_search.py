"""The search behind `columns.find_columns`: what is chosen, known, named, and held by columns."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hfkit.config import Columns
from hfkit.data import cells
from hfkit.data.answers import is_answers
from hfkit.data.column_errors import ambiguous, no_such, not_found
from hfkit.data.column_names import (
    FLAGS,
    IDS,
    LABEL_WORDS,
    LABELS,
    MATCHES,
    OTHERS,
    PAIRS,
    SOURCES,
    START,
    TEXT,
    TOKENS,
    LabelKind,
    Names,
    flag_of,
    plain,
    spoken,
)
from hfkit.data.display import listed, shown
from hfkit.data.entities import shape_of
from hfkit.data.record import Fields
from hfkit.data.written import find_written
from hfkit.errors import InputError

log = logging.getLogger(__name__)

Found = dict[str, str | list[str]]

GIVEN = "as set"
FORMS = ("messages", "prompt", "completion")  # of what a text may come in
MOST_WORDS = 4  # of the name of a column; a longer one is a text
SPANS = ("triples", "objects", "lists", "surfaces")


class Search:
    """One search: what is still free, what was found, and why."""

    def __init__(
        self,
        names: list[str],
        sample: Sequence[Fields],
        chosen: Columns,
        need_label: bool,
        kind: LabelKind,
    ) -> None:
        self.names = names
        self.sample = sample
        self.chosen = chosen
        self.need_label = need_label
        self.kind = kind
        self.columns: Found = {}
        self.reasons: dict[str, str] = {}

    def run(self, roles: list[str], known: Mapping[str, str | list[str]]) -> Found:
        """Return role -> column, in the order of the roles. Raises `InputError`."""
        wanted = {role.removesuffix("?"): role.endswith("?") for role in roles}
        for role in wanted:
            self._take_chosen(role)
        self._tell_unread(wanted)
        for role in wanted:
            self._take_known(role, known.get(role))
        if self.kind == "texts":
            self._take_written()
        if "text_pair" in wanted and not {"text", "text_pair"} & set(self.columns):
            self._take_pair()
        settled = FORMS if "messages" in wanted else ()
        if settled:
            self._take_form(wanted)
        for role in OTHERS:
            if role in wanted and role not in (*settled, *self.columns):
                texts_fit = role != "document"  # a column of documents may be the text itself
                self._take_named(role, OTHERS[role], texts_fit)
        if "tokens" in wanted:
            self._take_tokens()
        asked = self.need_label or self.kind != "texts"  # else a title may be the text itself
        if "label" in wanted and "label" not in self.columns and asked:
            self._take_named_label()
        self._settle_words()
        if "text" in wanted and not {"text", "tokens", *FORMS} & set(self.columns):
            self._take_text()
        if "label" in wanted and "label" not in self.columns and self.need_label:
            self._take_other_label()
        self._check(wanted)
        self._join_start()
        if not self.need_label:
            self.columns.pop("label", None)
            self.reasons.pop("label", None)
        self._tell("label" in wanted)
        return {role: self.columns[role] for role in wanted if role in self.columns}

    def _check(self, wanted: Mapping[str, bool]) -> None:
        """Take roles that are columns' own names, and raise for one that is needed and absent."""
        for role, optional in wanted.items():
            needed = not optional
            if role == "label":
                needed = self.need_label and self.kind != "scores"
            # A second text may come beside a text that is known from the training.
            own = role not in FLAGS or (role == "text_pair" and needed)
            if role not in self.columns and own and role in self.names:
                self.columns[role] = role
            if needed and role not in self.columns:
                raise self._not_found(role)
        if "tokens" in wanted and not {"tokens", "text"} & set(self.columns):
            raise self._not_found("text")
        if "messages" in wanted and not {"text", *FORMS} & set(self.columns):
            raise self._not_found("text")
        for role, other in (("prompt", "completion"), ("completion", "prompt")):
            if {role, other} <= set(wanted) and other in self.columns and role not in self.columns:
                raise self._not_found(role)

    def _take(self, role: str, column: str, reason: str) -> None:
        self.columns[role] = column
        self.reasons[role] = reason

    # What is said

    def _tell_unread(self, wanted: Mapping[str, bool]) -> None:
        """Say which of the columns that the user names the task does not read."""
        inputs = [role for role in wanted if role != "label"]
        for role, flag in FLAGS.items():
            if inputs and role not in wanted and getattr(self.chosen, f"{role}_column", None):
                log.warning("%s: this task reads %s alone", flag, listed(inputs))

    def _take_chosen(self, role: str) -> None:
        column = getattr(self.chosen, f"{role}_column", None)
        if column is None:
            return
        several = [name.strip() for name in column.split(",")] if role == "label" else [column]
        if column in self.names:
            several = [column]
        elif role == "label" and not self.need_label:
            return
        for name in several:
            if name not in self.names:
                raise no_such(name, self.names, flag_of(role, self.kind))
        if role == "label" and self.kind == "answers" and len(several) > 2:
            problem = f"expected a column of answers and one of their starts, got {listed(several)}"
            raise InputError(problem, place=FLAGS[role])
        self.columns[role] = several[0] if len(several) == 1 else several
        self.reasons[role] = GIVEN

    def _take_known(self, role: str, column: str | list[str] | None) -> None:
        """Take the column of an earlier run where this file has it and it is not taken."""
        if column is None or role in self.columns:
            return
        if {role, *self.columns} >= {"text", "tokens"}:
            return
        free = set(self.names) - {name for taken in self.columns.values() for name in _each(taken)}
        if free.issuperset(_each(column)):
            self.columns[role] = column
            self.reasons[role] = GIVEN

    # Names

    def _take_form(self, wanted: Mapping[str, bool]) -> None:
        """Take messages, or a prompt and its completion, unless a text is named or known."""
        if {"text", "messages"} & set(self.columns):
            return
        talks = lambda name: any(map(cells.are_messages, self._values(name)))  # noqa: E731
        found = self._named(OTHERS["messages"], talks)
        if found and not {"prompt", "completion"} & set(self.columns):
            self._take("messages", found[0], "its name, and it holds messages")
            return
        roles = [role for role in ("prompt", "completion") if role in wanted]
        missing = [role for role in roles if role not in self.columns]
        if missing == roles and not all(self._named(OTHERS[role]) for role in roles):
            return  # a column "answer" alone is a text like any other
        for role in missing:
            self._take_named(role, OTHERS[role], texts_fit=True)

    def _take_named(self, role: str, tiers: Sequence[Names], texts_fit: bool) -> None:
        found = self._named(tiers, lambda name: texts_fit or not self._holds_text(name))
        if len(found) > 1:
            raise ambiguous(role, found, self.kind)
        if found:
            self._take(role, found[0], "its name")

    def _named(
        self, tiers: Sequence[Names], fits: Callable[[str], bool] = lambda name: True
    ) -> list[str]:
        """Return the free columns that have a name of the first set that has any."""
        free = self._free()
        for names in tiers:
            found = [name for name in free if plain(name) in names and fits(name)]
            if found:
                return found
        return []

    def _take_pair(self) -> None:
        by_plain = {plain(name): name for name in self._free()}
        known = PAIRS if self.kind != "scores" else (*PAIRS, *MATCHES)
        pairs = [pair for pair in known if all(word in by_plain for word in pair)]
        found = [(by_plain[first], by_plain[second]) for first, second in pairs]
        if len(found) > 1:
            names = dict.fromkeys(name for pair in found for name in pair)
            raise ambiguous("text", names, self.kind)
        for first, second in found:
            self._take("text", first, f"its name beside {shown(second)}")
            self._take("text_pair", second, f"its name beside {shown(first)}")
        if self.kind == "scores" and not found:
            texts = [name for name in self._free() if self._holds_text(name)]
            if len(texts) == 2 and not self._header_is_data():
                self._take("text", texts[0], "the first of two columns that hold texts")
                self._take("text_pair", texts[1], "the second of two columns that hold texts")

    def _take_written(self) -> None:
        """Take a text and what is written for it, as far as neither is known."""
        if not {"text", "label"} & set(self.columns):
            for found in find_written(self._free())[:1]:
                self._take("text", found.text, found.reason)
                self._take("label", found.target, found.reason)
        if "text" not in self.columns:
            self._take_named("text", SOURCES, texts_fit=True)

    def _take_tokens(self) -> None:
        """Take the words, unless the user has named the text."""
        if "tokens" in self.columns or self.reasons.get("text") == GIVEN:
            return
        found = self._named(TOKENS, self._holds_words)
        if len(found) > 1:
            raise ambiguous("tokens", found, self.kind)
        if found:
            self._take("tokens", found[0], "its name, and it holds lists of words")

    def _settle_words(self) -> None:
        """Where a file has both words and a text, the label says which of them it is about."""
        label = self.columns.get("label")
        if "tokens" not in self.columns or not isinstance(label, str):
            return
        if self.reasons["tokens"] != GIVEN and any(
            shape_of(value) in SPANS for value in self._values(label)
        ):
            del self.columns["tokens"], self.reasons["tokens"]

    def _take_named_label(self) -> None:
        if self.kind == "labels":
            found = self._named_labels()
        elif self.kind == "entities":
            found = self._named(LABELS["entities"], self._holds_entities)
            found = [n for n in found if self._is_aligned(n)] or found if len(found) > 1 else found
        else:
            found = self._named(LABELS[self.kind])
        if len(found) == 1:
            self._take("label", found[0], self.reasons.pop("label", "its name"))
        elif found and self.need_label:
            raise ambiguous("label", found, self.kind)

    def _named_labels(self) -> list[str]:
        found = [n for n in self._free() if plain(n) in LABELS["labels"][0] | {*LABEL_WORDS}]
        by_plain = {plain(name): name for name in found}
        words = [by_plain[word] for word in LABEL_WORDS if word in by_plain]
        if "label" in by_plain and words:
            found = [name for name in found if name not in words]
            if self._one_to_one(by_plain["label"], words[0]):
                found[found.index(by_plain["label"])] = words[0]
                if found == words[:1]:
                    self.reasons["label"] = f"the names of {shown(by_plain['label'])}"
        return found

    def _join_start(self) -> None:
        """The start of an answer stands in a column of its own: take both."""
        label = self.columns.get("label")
        if self.kind != "answers" or not isinstance(label, str):
            return
        starts = self._named((START,))
        if len(starts) == 1 and not any(is_answers(value) for value in self._values(label)):
            self.columns["label"] = [label, starts[0]]
            self.reasons["label"] = "their names"

    def _take_text(self) -> None:
        free = self._free()
        named = [name for name in free if plain(name) in TEXT]
        if len(named) > 1:
            raise ambiguous("text", named, self.kind)
        if named:
            self._take("text", named[0], "its name")
        elif free and self._header_is_data():
            return
        elif len(self.names) == 1 and free:
            self._take("text", free[0], "the only column")
        else:
            texts = [name for name in free if self._holds_text(name)]
            if len(texts) > 1:
                raise ambiguous("text", texts, self.kind)
            if texts:
                self._take("text", texts[0], "the only column that holds texts")

    # What columns hold

    def _take_other_label(self) -> None:
        free = [name for name in self._free() if plain(name) not in TEXT]
        if self._header_is_data():
            return
        if self.kind == "texts":
            free = [name for name in self._free() if self._holds_text(name)]
        if self.kind == "scores":
            free = [name for name in free if self._all(name, cells.is_number)]
        elif self.kind == "entities":
            free = [name for name in free if self._holds_entities(name)]
        if len(free) == 1:
            self._take("label", free[0], "the only other column")
            return
        switches = [name for name in free if self._all(name, lambda value: value in SWITCH)]
        if self.kind == "labels" and len(switches) > 1 and len(switches) == len(free):
            problem = f"no column for the label; several hold only 0 and 1: {listed(switches)}"
            choice = f"{FLAGS['label']} {','.join(switches)}"
            raise InputError(problem, hint=f"for several labels a row use {choice}")

    def _free(self) -> list[str]:
        taken = {name for column in self.columns.values() for name in _each(column)}
        return [name for name in self.names if name not in taken and plain(name) not in IDS]

    def _values(self, name: str) -> list[Any]:
        return [fields[name] for fields in self.sample if fields.get(name) is not None]

    def _all(self, name: str, fits: Callable[[Any], bool]) -> bool:
        values = self._values(name)
        return bool(values) and all(map(fits, values))

    def _one_to_one(self, first: str, second: str) -> bool:
        pairs = {(str(f.get(first)), str(f.get(second))) for f in self.sample}
        return len({a for a, _ in pairs}) == len(pairs) == len({b for _, b in pairs})

    def _holds_text(self, name: str) -> bool:
        """Whether most values look like sentences: text with several words, or Chinese."""
        values = self._values(name)
        texts = [
            v for v in values if isinstance(v, str) and re.search(r"\S\s+\S|[^\x00-\u02ff]{4}", v)
        ]
        return len(texts) * 2 > len(values)

    def _holds_words(self, name: str) -> bool:
        """Whether the first value is a list of words; one further down that is not is told."""
        values = self._values(name)
        return bool(values) and cells.are_words(values[0])

    def _holds_entities(self, name: str) -> bool:
        """Whether the first value that says something is entities, or a tag for each word."""
        shapes = [shape_of(value) for value in self._values(name)]
        said = [shape for shape in shapes if shape != "nothing"]
        if not said:
            return bool(shapes)
        return said[0] in SPANS or (said[0] == "tags" and "tokens" in self.columns)

    def _is_aligned(self, name: str) -> bool:
        """Whether there are as many entries as words, in all rows looked at."""
        words = self.columns.get("tokens")
        pairs = [(fields.get(str(words)), fields.get(name)) for fields in self.sample]
        lists = [[cells.structured(cell) for cell in pair] for pair in pairs if None not in pair]
        both = [pair for pair in lists if all(isinstance(cell, list) for cell in pair)]
        return bool(both) and all(len(word) == len(tag) for word, tag in both)

    def _header_is_data(self) -> bool:
        """Whether the names look like a row: a number, a sentence, or a value of their column."""
        return any(
            re.fullmatch(r"-?\d[\d.]*", name)
            or len(name.split()) > MOST_WORDS
            or name in self._values(name)
            for name in self.names
        )

    # Messages

    def _not_found(self, role: str) -> InputError:
        return not_found(role, self.names, self.kind, headless=self._header_is_data())

    def _tell(self, label_wanted: bool) -> None:
        for role, reason in self.reasons.items():
            column = self.columns[role]
            if reason == GIVEN or column == role:
                continue
            flag = flag_of(role, self.kind)
            what = "text to write" if (role, self.kind) == ("label", "texts") else spoken(role)
            be = "column %s is" if isinstance(column, str) else "columns %s are"
            text = f"{be} the %s (%s); override with %s"
            log.info(text, listed(_each(column)), what, reason, flag)
        if label_wanted and self.need_label and "label" not in self.columns:
            text = "no column of scores: the texts of a row are taken to belong together; "
            log.info("%sname one with %s", text, FLAGS["label"])


SWITCH = (*cells.ON, *cells.OFF)


def _each(column: str | list[str]) -> list[str]:
    return [column] if isinstance(column, str) else column
