"""Labels that a user names, to choose from; and those of a model of natural language inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hfkit.errors import InputError, did_you_mean

# What the names of the opposite of entailment start with.
OPPOSITES = ("contra", "not_entail", "non_entail", "no_entail")


def named_labels(labels: str | None, path: str | None, several: bool) -> dict[str, str]:
    """The labels of ``--labels`` or of ``--labels-file``, each with what describes it; none where
    neither is given.

    Raises `InputError` for both, and as `check_labels` does.
    """
    if labels is None and path is None:
        return {}
    if labels is not None and path is not None:
        raise InputError("also given as --labels-file", place="--labels")
    if labels is None:
        lines = [line.partition("\t") for line in read_lines(path or "")]
        found = [(label.strip(), about.strip() or label.strip()) for label, _, about in lines]
    else:
        found = [(label, label) for label in split_labels(labels)]
    check_labels([label for label, _ in found], path or "--labels", several=several)
    return dict(found)


def split_labels(text: str) -> list[str]:
    """Labels on one line, between commas.

    >>> split_labels("sports, world politics")
    ['sports', 'world politics']
    """
    return [label.strip() for label in text.split(",")]


def read_lines(path: str) -> list[str]:
    """The lines of a file of labels, one a line and, behind a tab, what describes it in words.

    Blank lines are passed over; a comma is part of its label.

    Raises `InputError` where the file cannot be read or holds none.
    """
    try:
        lines = Path(path).expanduser().read_text("utf-8-sig").splitlines()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot be read ({reason})", place=path) from error
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8", place=path) from error
    lines = [line.strip() for line in lines if line.strip()]
    if not lines:
        raise InputError("no labels in it", place=path, hint="write one a line")
    return lines


def as_labels(value: Any) -> list[str]:
    """The labels of one row: a list of texts, or one text with commas. Raises `InputError`."""
    labels = split_labels(value) if isinstance(value, str) else value
    if not isinstance(labels, list | tuple) or not all(isinstance(one, str) for one in labels):
        raise InputError("expected a list of labels")
    return [label.strip() for label in labels]


def check_labels(labels: Sequence[str], place: str = "", *, several: bool) -> None:
    """Raise `InputError` for labels one cannot choose from: none, an empty one, one that stands
    there twice; and a single one, unless `several` of them may fit."""
    if not labels:
        raise InputError("no labels", place=place)
    if "" in labels:
        raise InputError("an empty label", place=place)
    seen: set[str] = set()
    for label in labels:
        if label in seen:
            raise InputError(f'the label "{label:.40}" stands there twice', place=place)
        seen.add(label)
    if len(labels) == 1 and not several:
        hint = "name more, or use --multi-label to ask whether it fits"
        raise InputError("one label leaves nothing to choose", place=place, hint=hint)


def stored_labels(model_config: Mapping[str, Any]) -> list[str]:
    """The labels of a model by their numbers, as its config.json has them.

    transformers leaves out the names that it would give itself. Raises `InputError`.

    >>> stored_labels({"id2label": {"1": "pos", "0": "neg"}}), stored_labels({})
    (['neg', 'pos'], ['LABEL_0', 'LABEL_1'])
    """
    names = model_config.get("id2label")
    if names is None:
        count = model_config.get("num_labels")
        return [f"LABEL_{number}" for number in range(count if isinstance(count, int) else 2)]
    try:
        return [str(names[key]) for key in sorted(names, key=int)]
    except (ValueError, TypeError, IndexError) as error:
        problem = "expected a name for each number as id2label"
        raise InputError(problem, place="config.json") from error


def find_entailment(labels: Sequence[str], chosen: str | None = None) -> tuple[int, int | None]:
    """The numbers of an NLI model's labels for entailment and for its opposite, by their names.

    `chosen` names the former where names do not say. The opposite is contradiction, or "not
    entailment", or the other one of two; None where names do not say. Raises `InputError`.

    >>> find_entailment(["neutral", "ENTAILMENT", "Contradiction"])
    (1, 2)
    >>> find_entailment(["LABEL_0", "LABEL_1"], "LABEL_1")
    (1, 0)
    """
    plain = [label.casefold().replace("-", "_").replace(" ", "_") for label in labels]
    found = [number for number, name in enumerate(plain) if name.startswith("entail")]
    place = "--entailment-label"
    if chosen is not None:
        if chosen not in labels:
            hint = did_you_mean(chosen, labels)
            raise InputError(f"the model has no label '{chosen}'", place=place, hint=hint)
        found = [labels.index(chosen)]
    if len(found) != 1:
        names = ", ".join(labels[:6]) or "none"
        raise InputError(
            f"the names of the model's labels do not say which is entailment: {names}",
            hint=f"name it with {place}, if this is a model of natural language inference",
        )
    rest = [number for number in range(len(labels)) if number != found[0]]
    opposite = [number for number in rest if plain[number].startswith(OPPOSITES)]
    if len(rest) == 1:
        opposite = rest
    return found[0], opposite[0] if len(opposite) == 1 else None
