"""Cutting a validation part off the training rows, so that every label keeps its share.

Pure: the same labels, share and seed give the same parts. Rows with the same text (`groups`) stay
together, or the validation part would hold texts that were trained on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from random import Random
from typing import Any

from hfkit.data.column_names import LabelKind
from hfkit.data.rows import keys_of
from hfkit.errors import InputError

BINS = 10  # of a numeric target
APART = ("label", "completion", "document")  # what two rows with the same text may differ in

Unit = list[int]  # rows that stay together


def stratified_split(
    labels: Sequence[Hashable | Sequence[Hashable]],
    share: float,
    seed: int,
    groups: Sequence[Hashable] | None = None,
) -> tuple[list[int], list[int]]:
    """Return the rows for training and for validation, each in their order.

    A label that is a list stands for several labels of the row, a float for a number that is
    binned by quantiles. A class with a single row (or text) stays in training; at least one row
    goes to validation. Raises `InputError` where no row can be spared.

    >>> stratified_split(["a", "a", "b", "b"], 0.5, seed=1)
    ([0, 2], [1, 3])
    """
    if not 0 < share < 1:
        raise InputError(f"expected a share between 0 and 1, got {share}", place="--validation")
    units = _units(len(labels), groups)
    random = Random(seed)
    if any(isinstance(label, (list, tuple, set, frozenset)) for label in labels):
        chosen = _iterative(units, [_as_set(label) for label in labels], share, random)
    else:
        plain: Sequence[Any] = labels
        strata = _bins(plain) if any(isinstance(label, float) for label in labels) else plain
        chosen = _by_class(units, strata, share, random)
    if not chosen:
        raise InputError(
            f"{len(labels)} rows ({len(units)} with different texts) are too few to cut a "
            "validation part off",
            place="--validation",
            hint="give a file of its own with --validation FILE",
        )
    return sorted(set(range(len(labels))) - chosen), sorted(chosen)


def split_rows(
    rows: Sequence[Mapping[str, Any]], kind: LabelKind, share: float, seed: int
) -> tuple[list[int], list[int]]:
    """Return the rows for training and for validation, by the kind of their labels.

    Kept in proportion are the types of entities, questions with and without an answer, scores.
    Kept together are questions about one context, equal texts, and the sentences of a document
    where there are enough documents; of a few long ones the sentences are divided. Raises
    `InputError` where no row can be spared.
    """
    documents = _documents(rows, share)
    if documents:
        return stratified_split([""] * len(rows), share, seed, documents)
    if kind == "answers":
        groups: list[Hashable] = list(keys_of(row["context"] for row in rows))
    else:
        groups = list(keys_of([v for role, v in row.items() if role not in APART] for row in rows))
    return stratified_split(_strata(rows, kind), share, seed, groups)


def split_texts(
    rows: Sequence[Mapping[str, Any]], share: float, seed: int
) -> tuple[list[int], list[int]]:
    """Return the rows for training and for validation of texts that are read one after the other:
    whole documents, or the end of the text where there are too few of them.

    Raises `InputError` where no row can be spared.

    >>> split_texts([{"text": "a", "document": 1}] * 4, 0.5, seed=1)
    ([0, 1], [2, 3])
    """
    documents = _documents(rows, share)
    if documents:
        return stratified_split([""] * len(rows), share, seed, documents)
    cut = max(1, round(share * len(rows)))
    if cut >= len(rows):
        return stratified_split([""] * len(rows), share, seed)  # raises
    return list(range(len(rows) - cut)), list(range(len(rows) - cut, len(rows)))


def _documents(rows: Sequence[Mapping[str, Any]], share: float) -> list[Hashable]:
    """The document of each row; nothing where there are too few of them to cut a share off."""
    found = [row.get("document") for row in rows]
    sizes = Counter(found)
    too_few = None in sizes or max(sizes.values(), default=0) > share * len(rows)
    return [] if too_few else list(found)


def _strata(rows: Sequence[Mapping[str, Any]], kind: LabelKind) -> list[Any]:
    if kind == "entities":
        return [types_of(row.get("label") or ()) for row in rows]
    if kind == "answers":
        return [bool(row.get("label")) for row in rows]
    if kind == "texts":
        return [""] * len(rows)
    return [row.get("label") for row in rows]


def types_of(label: Sequence[Any]) -> list[str]:
    """The types of a row's entities, by their tags or as such."""
    names = [one if isinstance(one, str) else one["label"] for one in label]
    tags = [name for name in names if name != "O"]
    if label and isinstance(label[0], str):
        tags = [tag[2:] if tag[1:2] in ("-", "_") else tag for tag in tags]
    return list(dict.fromkeys(tags))


def _units(count: int, groups: Sequence[Hashable] | None) -> list[Unit]:
    if groups is None:
        return [[row] for row in range(count)]
    together: dict[Hashable, Unit] = {}
    for row, group in enumerate(groups):
        together.setdefault(group, []).append(row)
    return list(together.values())


def _as_set(label: Any) -> frozenset[Any]:
    several = isinstance(label, (list, tuple, set, frozenset))
    return frozenset(label) if several else frozenset([label])


def _bins(values: Sequence[float]) -> list[int]:
    """Return the quantile bin of each value; equal values share one."""
    count = max(1, min(BINS, len(values) // 2))
    bin_of: dict[float, int] = {}
    for rank, value in enumerate(sorted(values)):
        bin_of.setdefault(value, rank * count // len(values))
    return [bin_of[value] for value in values]


def _by_class(
    units: list[Unit], strata: Sequence[Hashable], share: float, random: Random
) -> set[int]:
    """Take from each class whole units up to its share; largest fractions first for the rest."""
    classes: dict[Hashable, list[Unit]] = {}
    for unit in units:
        classes.setdefault(strata[unit[0]], []).append(unit)
    chosen: set[int] = set()
    left: list[tuple[float, int, list[Unit]]] = []  # fraction not served, order, units not taken
    for order, members in enumerate(classes.values()):
        random.shuffle(members)
        wanted = share * sum(map(len, members))
        taken = 0
        spare = list(members[:-1])  # one unit stays in training
        for unit in members[:-1]:
            if taken + len(unit) <= wanted:
                chosen.update(unit)
                taken += len(unit)
                spare.remove(unit)
        left.append((wanted - taken, order, spare))
    missing = max(1, round(share * len(strata))) - len(chosen)
    for _, _, spare in sorted(left, key=lambda item: (-item[0], item[1])):
        fitting = [unit for unit in spare if len(unit) <= missing]
        smallest = [min(spare, key=len)] if spare and not chosen else []
        for unit in (fitting or smallest)[:1]:
            chosen.update(unit)
            missing -= len(unit)
    return chosen


def _iterative(
    units: list[Unit], labels: Sequence[frozenset[Any]], share: float, random: Random
) -> set[int]:
    """Iterative stratification for several labels a row (Sechidis, Tsoumakas and Vlahavas 2011):
    the rarest label first, each of its rows to the part that lacks it most."""
    sets = [frozenset[Any]().union(*(labels[row] for row in unit)) for unit in units]
    order = list(range(len(units)))
    random.shuffle(order)
    shares = (1 - share, share)
    totals = Counter(label for unit in sets for label in unit)
    # What each part still lacks: rows at all, and rows of each label.
    lacking = [share_ * sum(map(len, units)) for share_ in shares]
    lacking_label = [{name: n * share_ for name, n in totals.items()} for share_ in shares]
    waiting: dict[Any, list[int]] = {name: [] for name in totals}
    for index in order:
        for name in sets[index]:
            waiting[name].append(index)
    remaining = Counter(totals)
    placed: dict[int, int] = {}

    def place(index: int, part: int) -> None:
        placed[index] = part
        lacking[part] -= len(units[index])
        for name in sets[index]:
            lacking_label[part][name] -= 1
            remaining[name] -= 1

    for name in _rarest_first(remaining):
        for index in waiting[name]:
            if index not in placed:
                need = [(lacking_label[part][name], lacking[part]) for part in (0, 1)]
                place(index, 1 if need[1] > need[0] else 0)
    for index in order:
        if index not in placed:
            place(index, 1 if lacking[1] > lacking[0] else 0)
    if len(units) > 1 and 1 not in placed.values():
        placed[max(order, key=lambda index: min((totals[n] for n in sets[index]), default=2))] = 1
    return {row for index, part in placed.items() if part for row in units[index]}


def _rarest_first(remaining: Counter[Any]) -> Iterable[Any]:
    """Yield each label once, the one with the fewest unplaced rows first; the counts change
    meanwhile."""
    names = list(remaining)
    while names:
        name = min(names, key=lambda label: (remaining[label], str(label)))
        names.remove(name)
        yield name
