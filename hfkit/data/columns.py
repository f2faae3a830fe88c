"""Which column is what: from the columns of a file to the roles of a task, with a reason for each.

What the user says comes first, then the names of columns, then what the columns hold. A guess is
logged; where two columns fit equally well nothing is guessed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hfkit.config import Columns
from hfkit.data.display import kind_of, listed, shown
from hfkit.data.record import Fields
from hfkit.errors import InputError, did_you_mean

log = logging.getLogger(__name__)

Row = dict[str, Any]

# Compared in lower case without spaces, dots, hyphens and underscores.
NAMES: dict[str, frozenset[str]] = {
    "text": frozenset(
        (
            *(
                "text",
                "texta",
                "text1",
                "sentence",
                "sentence1",
                "sentences",
                "content",
                "contents",
            ),
            *("review", "reviewtext", "reviewbody", "body", "utterance", "utt", "query", "comment"),
            *("commenttext", "tweet", "message", "headline", "document"),
            *("标题", "内容", "文本", "句子", "评论"),
        )
    ),
    "label": frozenset(
        (
            *("label", "labels", "labeltext", "labelname", "goldlabel", "intent", "target"),
            *("category", "categories", "class", "classes", "topic", "sentiment", "emotion"),
            *("emotions", "entailmentjudgment", "score", "similarity", "similarityscore"),
            *("relatednessscore", "rating", "stars", "标签", "类别", "情感", "分类"),
        )
    ),
}
PAIRS = (
    ("sentence1", "sentence2"),
    ("sentencea", "sentenceb"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("texta", "textb"),
    ("text1", "text2"),
    ("text", "textpair"),
    ("query", "passage"),
    ("句子1", "句子2"),
)
IDS = frozenset(
    (
        *("id", "idx", "index", "guid", "uid", "uuid", "rowid", "pairid", "exampleid"),
        *("sentenceid", "textid"),
    )
)
LABEL_WORDS = ("labeltext", "labelname", "labeldesc", "labeldes")
FLAGS = {role: f"--{role.replace('_', '-')}-column" for role in ("text", "text_pair", "label")}
GIVEN = "as set"
MOST_WORDS = 4  # of the name of a column; a longer one is a text
ON, OFF = ("1", 1, True), ("0", 0, False)


@dataclass(frozen=True)
class ColumnMap:
    """Role -> column; for a label spread over several 0/1 columns, role -> those columns."""

    columns: Mapping[str, str | list[str]]
    reasons: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, str | list[str]]:
        """Return plain data from which `from_dict` makes the same map."""
        return {role: c if isinstance(c, str) else list(c) for role, c in self.columns.items()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, str | list[str]]) -> ColumnMap:
        """Return the map that `to_dict` wrote down."""
        return cls(dict(saved))

    def row(self, fields: Fields) -> Row:
        """Return role -> value; the label as it stands in the file, None where it is absent.

        Raises `InputError`, without a place, for a text that is missing, empty or no text.
        """
        row: Row = {}
        for role, column in self.columns.items():
            if not isinstance(column, str):
                row[role] = _switched_on(column, fields)
            elif role == "label":
                row[role] = fields.get(column)
            else:
                row[role] = _text(column, fields)
        return row


def find_columns(
    names: Sequence[str],
    sample: Sequence[Fields],
    roles: Mapping[str, str],
    chosen: Columns,
    known: Mapping[str, str | list[str]] | None = None,
    *,
    need_label: bool = True,
) -> ColumnMap:
    """Find the column of each role.

    `roles` are the keys of a task's `columns`: a ``?`` at the end marks one that may be absent.
    `known` is a map that an earlier run saved; it stands behind what is `chosen` and before every
    guess, as far as the file has its columns. `need_label` makes the label a needed role (training,
    evaluation); without it the map has no label (prediction). Raises `InputError`.
    """
    return _Search(list(names), sample, chosen, need_label).run(list(roles), known or {})


def known_name(name: str) -> bool:
    """Whether a word is a usual name of a column.

    >>> known_name("Label"), known_name("Hello")
    (True, False)
    """
    plain = _plain(name.strip().strip('"'))
    return (
        plain in IDS
        or any(plain in names for names in NAMES.values())
        or any(plain in pair for pair in PAIRS)
    )


class _Search:
    """One search: what is still free, what was found, and why."""

    def __init__(
        self, names: list[str], sample: Sequence[Fields], chosen: Columns, need_label: bool
    ) -> None:
        self.names = names
        self.sample = sample
        self.chosen = chosen
        self.need_label = need_label
        self.columns: dict[str, str | list[str]] = {}
        self.reasons: dict[str, str] = {}

    def run(self, roles: list[str], known: Mapping[str, str | list[str]]) -> ColumnMap:
        wanted = {role.removesuffix("?"): role.endswith("?") for role in roles}
        for role in wanted:
            self._take_chosen(role)
        for role in wanted:
            self._take_known(role, known.get(role))
        if "text_pair" in wanted and not {"text", "text_pair"} & set(self.columns):
            self._take_pair()
        if "label" in wanted and "label" not in self.columns:
            self._take_named_label()
        if "text" in wanted and "text" not in self.columns:
            self._take_text()
        if "label" in wanted and "label" not in self.columns and self.need_label:
            self._take_other_label()
        for role, optional in wanted.items():
            if role not in self.columns and role not in FLAGS and role in self.names:
                self.columns[role] = role
            needed = self.need_label if role == "label" else not optional
            if needed and role not in self.columns:
                raise self._not_found(role)
        if not self.need_label:
            self.columns.pop("label", None)
            self.reasons.pop("label", None)
        self._tell()
        return ColumnMap({r: self.columns[r] for r in wanted if r in self.columns}, self.reasons)

    def _take(self, role: str, column: str, reason: str) -> None:
        self.columns[role] = column
        self.reasons[role] = reason

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
                raise self._no_such(name, FLAGS[role])
        self.columns[role] = several[0] if len(several) == 1 else several
        self.reasons[role] = GIVEN

    def _take_known(self, role: str, column: str | list[str] | None) -> None:
        """Take the column of an earlier run where this file has it and it is not taken."""
        if column is None or role in self.columns:
            return
        free = set(self.names) - {name for taken in self.columns.values() for name in _each(taken)}
        if free.issuperset(_each(column)):
            self.columns[role] = column
            self.reasons[role] = GIVEN

    def _take_pair(self) -> None:
        by_plain = {_plain(name): name for name in self._free()}
        pairs = [pair for pair in PAIRS if all(word in by_plain for word in pair)]
        found = [(by_plain[first], by_plain[second]) for first, second in pairs]
        if len(found) > 1:
            raise _ambiguous("text", dict.fromkeys(name for pair in found for name in pair))
        for first, second in found:
            self._take("text", first, f"its name beside {shown(second)}")
            self._take("text_pair", second, f"its name beside {shown(first)}")

    def _take_named_label(self) -> None:
        found = [name for name in self._free() if _plain(name) in NAMES["label"] | {*LABEL_WORDS}]
        plain = {_plain(name): name for name in found}
        words = [plain[word] for word in LABEL_WORDS if word in plain]
        if "label" in plain and words:
            found = [name for name in found if name not in words]
            if self._one_to_one(plain["label"], words[0]):
                found[found.index(plain["label"])] = words[0]
        if len(found) == 1:
            names_of = words and found[0] == words[0] and "label" in plain
            reason = f"the names of {shown(plain['label'])}" if names_of else "its name"
            self._take("label", found[0], reason)
        elif found and self.need_label:
            raise _ambiguous("label", found)

    def _take_text(self) -> None:
        free = self._free()
        named = [name for name in free if _plain(name) in NAMES["text"]]
        if len(named) > 1:
            raise _ambiguous("text", named)
        if named:
            self._take("text", named[0], "its name")
        elif free and self._header_is_data():
            return
        elif len(self.names) == 1 and free:
            self._take("text", free[0], "the only column")
        else:
            texts = [name for name in free if self._holds_text(name)]
            if len(texts) > 1:
                raise _ambiguous("text", texts)
            if texts:
                self._take("text", texts[0], "the only column that holds texts")

    def _take_other_label(self) -> None:
        free = [name for name in self._free() if _plain(name) not in NAMES["text"]]
        switches = [name for name in free if self._holds_switches(name)]
        if self._header_is_data():
            return
        if len(free) == 1:
            self._take("label", free[0], "the only other column")
        elif len(switches) > 1 and len(switches) == len(free):
            problem = f"no column for the label; several hold only 0 and 1: {listed(switches)}"
            choice = f"{FLAGS['label']} {','.join(switches)}"
            raise InputError(problem, hint=f"for several labels a row use {choice}")

    def _free(self) -> list[str]:
        taken = {name for column in self.columns.values() for name in _each(column)}
        return [name for name in self.names if name not in taken and _plain(name) not in IDS]

    def _values(self, name: str) -> list[Any]:
        return [fields[name] for fields in self.sample if fields.get(name) is not None]

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

    def _holds_switches(self, name: str) -> bool:
        values = self._values(name)
        return bool(values) and all(value in ON or value in OFF for value in values)

    def _header_is_data(self) -> bool:
        """Whether the names look like a row: a number, a sentence, or a value of their column."""
        return any(
            re.fullmatch(r"-?\d[\d.]*", name)
            or len(name.split()) > MOST_WORDS
            or name in self._values(name)
            for name in self.names
        )

    def _no_such(self, name: str, flag: str) -> InputError:
        close = did_you_mean(name, self.names)
        problem = f"no column {shown(name)}; the columns are {listed(self.names)}"
        return InputError(problem, place=flag, hint=close if close.startswith("did") else "")

    def _not_found(self, role: str) -> InputError:
        problem = f"no column for the {_spoken(role)}; the columns are {listed(self.names)}"
        hints = [f"name one with {FLAGS[role]}"] if role in FLAGS else []
        if len(self.names) == 1 and re.search(r"[,;\t|]", self.names[0]):
            hints.append("if they are several, set --delimiter")
        if self._header_is_data():
            hints.append("if the first line is data, add --no-header")
        return InputError(problem, hint="; ".join(hints))

    def _tell(self) -> None:
        for role, reason in self.reasons.items():
            column = self.columns[role]
            if reason == GIVEN or column == role:
                continue
            flag = FLAGS[role]
            what = _spoken(role)
            log.info(
                "column %s is the %s (%s); override with %s", shown(column), what, reason, flag
            )


def _ambiguous(role: str, candidates: Iterable[str]) -> InputError:
    problem = f"several columns could be the {_spoken(role)}: {listed(candidates)}"
    return InputError(problem, hint=f"choose with {FLAGS[role]}")


def _each(column: str | list[str]) -> list[str]:
    return [column] if isinstance(column, str) else column


def _plain(name: str) -> str:
    return re.sub(r"[\s_.\-]", "", name.casefold())


def _spoken(role: str) -> str:
    return {"text_pair": "second text"}.get(role, role.replace("_", " "))


def _text(column: str, fields: Fields) -> str:
    if column not in fields:
        raise InputError(f"no column {shown(column)}; the row has {listed(fields) or 'none'}")
    value = fields[column]
    if not isinstance(value, str):
        raise InputError(f"column {shown(column)}: expected text, got {kind_of(value)}")
    if not value.strip():
        problem = f"column {shown(column)}: the text is empty"
        raise InputError(problem, hint="fill it in, or take the row out")
    return value


def _switched_on(columns: Sequence[str], fields: Fields) -> list[str]:
    found: list[str] = []
    for column in columns:
        value = fields.get(column)
        value = value.strip() if isinstance(value, str) else value
        if value in ON:
            found.append(column)
        elif value not in OFF:
            what = shown(value) if isinstance(value, str) else kind_of(value)
            raise InputError(f"column {shown(column)}: expected 0 or 1, got {what}")
    return found
