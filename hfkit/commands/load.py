"""`hfkit.load`: a model kept open, to be asked again and again from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

from hfkit.config import PredictConfig
from hfkit.errors import InputError

if TYPE_CHECKING:
    from hfkit.infer.predictor import Predictor
    from hfkit.infer.server import ServerPredictor
    from hfkit.tasks.base import Answer


class Model:
    """A run or model in memory. `labels` are what it tells apart, in the order of its outputs."""

    def __init__(self, predictor: Predictor | ServerPredictor) -> None:
        self._predictor = predictor
        self.labels = list(predictor.task.labels)

    def predict(
        self,
        texts: Sequence[str | Mapping[str, Any]] | Mapping[str, Any] | str,
        pairs: Sequence[str] | None = None,
    ) -> list[Answer]:
        """Answer texts, or texts with their pairs, in their order, with the scores of all labels.

        A mapping gives the roles of the task by name: ``{"text": …, "text_pair": …}``. For a text
        that cannot be answered, as an empty one, there is ``{"error": …}`` in its place. Raises
        `InputError` for roles that are not those of the task.
        """
        from hfkit.infer.stream import answer_rows

        given = [texts] if isinstance(texts, str | Mapping) else list(texts)
        rows = [dict(one) if isinstance(one, Mapping) else {"text": one} for one in given]
        if pairs is not None:
            if len(pairs) != len(rows):
                raise InputError(f"{len(pairs)} pairs for {len(rows)} texts")
            rows = [{**row, "text_pair": pair} for row, pair in zip(rows, pairs, strict=True)]
        for number, row in enumerate(rows, start=1):
            self._check(row, f"text {number}")
        full = [all(str(value).strip() for value in row.values()) for row in rows]
        answered = iter(answer_rows(self._predictor, list(compress(rows, full))))
        found = [next(answered) if one else "the text is empty" for one in full]
        return [{"error": one} if isinstance(one, str) else one for one in found]

    def _check(self, row: Mapping[str, Any], place: str) -> None:
        roles = self._predictor.task.columns
        needed = [role for role in roles if not role.endswith("?")]
        absent = [role for role in needed if role not in row]
        unknown = [role for role in row if role not in roles and f"{role}?" not in roles]
        if absent or unknown:
            names = ", ".join(role.removesuffix("?") for role in roles if role != "label?")
            problem = f"no {absent[0]}" if absent else f"unknown role '{unknown[0]}'"
            raise InputError(problem, place=place, hint=f"this task reads {names}")


def load(model: str, **settings: Any) -> Model:
    """Open a run, a model folder or a Hub id for prediction.

    `settings` are those of `hfkit predict` (``device``, ``max_length``, ``batch_size`` …). Raises
    `InputError` for a name that leads nowhere and for a base model without a trained head.
    """
    from hfkit.layers import resolve
    from hfkit.run.knowledge import with_documents
    from hfkit.run.opening import open_run
    from hfkit.run.predicting import make_predictor

    config = resolve(PredictConfig, {**settings, "model": model}, as_flags=False)
    return Model(make_predictor(with_documents(open_run(model, config), config), config))
