"""What is said where no column is found for a role, or several are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from hfkit.data.column_names import FLAGS, LabelKind, flag_of, spoken
from hfkit.data.display import listed, shown
from hfkit.errors import InputError, did_you_mean


def no_such(name: str, names: Sequence[str], flag: str) -> InputError:
    """The user names a column that is not there."""
    close = did_you_mean(name, names)
    problem = f"no column {shown(name)}; the columns are {listed(names)}"
    return InputError(problem, place=flag, hint=close if close.startswith("did") else "")


def not_found(role: str, names: Sequence[str], kind: LabelKind, *, headless: bool) -> InputError:
    """No column shows that it is what a task needs. `headless`: the names look like data."""
    what = "answers" if role == "label" and kind == "answers" else spoken(role)
    what = "entities" if role == "label" and kind == "entities" else what
    what = "text to write" if role == "label" and kind == "texts" else what
    problem = f"no column for the {what}; the columns are {listed(names)}"
    hints = [f"name one with {flag_of(role, kind)}"] if role in FLAGS else []
    if role == "candidates":
        hints = ["name them for all rows with --labels", *hints]
    if len(names) == 1 and re.search(r"[,;\t|]", names[0]):
        hints.append("if they are several, set --delimiter")
    if headless:
        hints.append("if the first line is data, add --no-header")
    return InputError(problem, hint="; ".join(hints))


def ambiguous(role: str, candidates: Iterable[str], kind: LabelKind) -> InputError:
    """Several columns fit equally well."""
    problem = f"several columns could be the {spoken(role)}: {listed(candidates)}"
    return InputError(problem, hint=f"choose with {flag_of(role, kind)}")
