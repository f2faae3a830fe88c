"""Right answers for a search: which document is relevant to which query, and how much."""

from __future__ import annotations

from math import isfinite

from hfkit.data.lines import physical_lines, without_end
from hfkit.errors import InputError


def read_qrels(path: str) -> dict[str, dict[str, float]]:
    """Judgements: query id -> document id -> gain.

    Three columns, query-id corpus-id score (BEIR; a header may stand above), or four, query 0
    document gain (TREC); between them tabs or spaces. Raises `InputError` with its place.
    """
    found: dict[str, dict[str, float]] = {}
    for number, line in enumerate(map(without_end, physical_lines(path, "utf-8")), start=1):
        cells = line.split("\t") if "\t" in line else line.split()
        if not cells:
            continue
        place = f"{path}:{number}"
        if len(cells) not in (3, 4):
            problem = f"{len(cells)} columns; expected query-id, corpus-id, score"
            raise InputError(problem, place=place)
        query, document = cells[0].strip(), cells[-2].strip()
        try:
            gain = float(cells[-1])
        except ValueError:
            if number == 1:
                continue  # a header
            raise InputError(f"expected a number, got '{cells[-1]:.40}'", place=place) from None
        if not isfinite(gain):
            raise InputError(f"expected a number, got '{cells[-1]:.40}'", place=place)
        if document in found.setdefault(query, {}):
            raise InputError(f"'{query:.40}' and '{document:.40}' are judged twice", place=place)
        found[query][document] = gain
    if not found:
        raise InputError("no judgements in it", place=path)
    return found
