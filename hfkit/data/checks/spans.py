"""Entities: tags that may not follow one another, and spans that are not those of words."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hfkit.data.checks.findings import MOST_PLACES, Findings
from hfkit.data.checks.walk import Seen
from hfkit.errors import RowError
from hfkit.spans import OUTSIDE, Scheme, follows, recognise, split
from hfkit.words import Passage, misfits

Step = tuple[str, str]  # a tag and the one after it

CODES = {
    "begin or end within a word, the whole of which is learnt": "entity-edge",
    "hold no word and cannot be learnt": "entity-wordless",
    "overlap with a longer one, which is learnt": "entity-overlap",
}


class Spans:
    """The entities of one part. Of tags it is counted which follows which: the scheme, which only
    all of them tell, says at the end which of these steps it does not have."""

    def __init__(self, part: str, findings: Findings) -> None:
        self._part, self._findings = part, findings
        self._steps: Counter[Step] = Counter()
        self._places: dict[Step, list[str]] = {}
        self._tag_places: dict[str, list[str]] = {}
        self.scheme = ""

    def see(self, seen: Seen) -> None:
        """Look at the entities of a row."""
        if not isinstance(seen.label, list):
            return
        if seen.row.get("tokens") is None:
            self._see_spans(seen)
            return
        for step in pairwise([OUTSIDE, *seen.label, OUTSIDE]):
            self._steps[step] += 1
            self._keep(self._places.setdefault(step, []), seen)
            self._keep(self._tag_places.setdefault(step[1], []), seen)

    def _see_spans(self, seen: Seen) -> None:
        passage = Passage.of(seen.row)
        marked = passage.marked(seen.label)
        for what, (count, _) in misfits([(marked, passage.places)]).items():
            self._findings.add(CODES[what], self._part, seen.record, count)

    def _keep(self, places: list[str], seen: Seen) -> None:
        if len(places) < MOST_PLACES and (not places or places[-1] != seen.record.place):
            places.append(seen.record.place)

    def close(self) -> None:
        """Report the tags that are of no scheme, or stand where they may not."""
        if not self._steps:
            return
        tags = [tag for tag in self._tag_places if tag != OUTSIDE]
        try:
            scheme = recognise([[tag] for tag in tags] or [[OUTSIDE]]).scheme
        except RowError as error:
            self._report_misfit(tags[error.row], error.message)
            return
        if scheme in ("iob1", "iob2"):
            both: tuple[Scheme, Scheme] = ("iob2", "iob1")
            scheme = min(both, key=lambda one: sum(self._wrong(one).values()))
        self.scheme = scheme
        for step, count in self._wrong(scheme).items():
            for place in self._places[step]:
                self._findings.add("tag-order", self._part, place, 0)
            reason = f"{step[1]} after {step[0]} ({scheme})"
            self._findings.add("tag-order", self._part, None, count, reason)

    def _report_misfit(self, tag: str, message: str) -> None:
        count = sum(number for step, number in self._steps.items() if step[1] == tag)
        for place in self._tag_places[tag]:
            self._findings.add("tag-misfit", self._part, place, 0)
        self._findings.add("tag-misfit", self._part, None, count, message)

    def _wrong(self, scheme: Scheme) -> dict[Step, int]:
        return {
            step: count
            for step, count in self._steps.items()
            if not follows(split(step[0]), split(step[1]), scheme)
        }
