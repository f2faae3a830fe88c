"""The engine of models that go on with a text: transformers' `generate`, a batch at a time.

Prompts of one batch stand at the right, the padding before them, as the next token stands behind
the last one of each. Padding is masked and takes no position, so that what is written does not
depend on the rows beside it; drawing is that of `WritingEngine`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hfkit.infer.torch_engine import TorchEngine
from hfkit.infer.writing_engine import NOTHING, WritingEngine, drawing, ended

if TYPE_CHECKING:
    import torch

    from hfkit.infer.engine import Arrays

Spelled = Callable[[Sequence[list[int]]], list[str]]


class GeneratingEngine(WritingEngine):
    """Writes a text behind the first ``prompt_length`` tokens of each row: the output ``ids [rows,
    longest text that may be]``, `NOTHING` behind the token that ends them.

    Where rows have more tokens, their log-probabilities come too. `listener` is told the tokens of
    the first row so far, as they come.
    """

    listener: Callable[[list[int]], None] | None = None

    def _compute(self, tensors: dict[str, torch.Tensor]) -> Arrays:
        import numpy as np

        model: Any = self.model
        settings = model.model.generation_config
        sizes = tensors.pop("prompt_length")
        longer = bool((tensors["attention_mask"].sum(dim=1) > sizes).any())
        scores = TorchEngine._compute(self, tensors) if longer else {}
        prompts, real = at_the_right(tensors["input_ids"], sizes, model.room, settings.pad_token_id)
        width = prompts.shape[1]
        written = model.model.generate(
            input_ids=prompts,
            attention_mask=real,
            generation_config=settings,
            logits_processor=drawing(model.sample, prompts, real),
            stopping_criteria=self._criteria(width),
        )
        found = written[:, width:].cpu().numpy()
        padded = np.full((len(found), settings.max_new_tokens), NOTHING, dtype=np.int64)
        padded[:, : found.shape[1]] = found[:, : settings.max_new_tokens]
        return {**scores, "ids": ended(padded, settings.eos_token_id)}

    def _criteria(self, width: int) -> Any:
        """What ends a row before its time, and tells of the first one."""
        import torch
        from transformers import StoppingCriteria, StoppingCriteriaList

        model: Any = self.model
        listener = self.listener

        class Stops(StoppingCriteria):  # type: ignore[misc]
            """Ends the rows that have written one of the words."""

            def __call__(self, ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
                rows = ids[:, width:].tolist()
                done = stopped(rows, model.stop, model.spelled)
                return torch.tensor(done, device=ids.device)

        class Listens(StoppingCriteria):  # type: ignore[misc]
            """Tells of the first row, and ends none."""

            def __call__(self, ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
                if listener is not None:
                    listener(ids[0, width:].tolist())
                return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)

        stops = [Stops()] if model.stop and model.spelled else []
        return StoppingCriteriaList([*stops, *([Listens()] if listener else [])])


def at_the_right(
    ids: torch.Tensor, sizes: torch.Tensor, room: int, padding: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The first `sizes` tokens of each row, at most the last `room` of them (0: all), with the
    padding before them; and a mask of what is none.

    >>> import torch
    >>> ids, sizes = torch.tensor([[5, 6, 7], [8, 9, 0]]), torch.tensor([2, 1])
    >>> prompts, real = at_the_right(ids, sizes, 0, 3)
    >>> prompts.tolist(), real.tolist()
    ([[5, 6], [3, 8]], [[1, 1], [0, 1]])
    """
    import torch

    kept = sizes.clamp(max=room) if room else sizes
    width = int(kept.max())
    steps = torch.arange(width, device=ids.device).unsqueeze(0)
    missing = (width - kept).unsqueeze(1)
    real = steps >= missing
    places = (steps - missing + (sizes - kept).unsqueeze(1)).clamp(min=0)
    return ids.gather(1, places).masked_fill(~real, padding), real.long()


def stopped(rows: Sequence[list[int]], words: Sequence[str], spelled: Spelled) -> list[bool]:
    """Whether each row has written one of the words.

    The last tokens are looked at, each of which spells a byte at least; where they say so, all.
    """
    reach = max(len(word.encode()) for word in words) + 4
    found = [any(word in text for word in words) for text in spelled([r[-reach:] for r in rows])]
    for number, maybe in enumerate(found):
        if maybe:
            (whole,) = spelled([rows[number]])
            found[number] = any(word in whole for word in words)
    return found
