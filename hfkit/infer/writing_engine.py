"""The engine of models that write: transformers' `generate`, a batch at a time.

A row ends when its text does, and the batch when all have ended. What is written does not depend on
the rows beside it: padding is masked, beams are kept row by row, and where tokens are drawn, each
row draws with a seed of its own. For the last, noise is added to the logits and the best is taken,
which is drawing by probability (Gumbel 1954); `generate` itself draws for a whole batch at once.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from hfkit.infer.torch_engine import GPU_TOKENS, TorchEngine

if TYPE_CHECKING:
    import torch

    from hfkit.infer.engine import Arrays

# Tokens that are read at once; every text is written with as many rows beside it as fit in here.
TOKENS = 4096
NOTHING = -1  # stands behind the last token of a text


class WritingEngine(TorchEngine):
    """Writes a text for each row: the output ``ids [rows, longest text that may be]``, without the
    token that begins texts, `NOTHING` behind the one that ends them."""

    def __init__(
        self, model: torch.nn.Module, device: str | torch.device = "cpu", *, half: bool = False
    ) -> None:
        super().__init__(model, device, half=half)
        self.batch_tokens = TOKENS if self.device.type == "cpu" else GPU_TOKENS

    def _compute(self, tensors: dict[str, torch.Tensor]) -> Arrays:
        import numpy as np

        model: Any = self.model
        settings = model.generation_config
        ids, mask = tensors["input_ids"], tensors["attention_mask"]
        written = model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=settings,
            logits_processor=drawing(model.hfkit_sampling, ids, mask),
        )
        found = written[:, 1:].cpu().numpy()  # the first token was given, not written
        width = settings.max_new_tokens
        padded = np.full((len(found), width), NOTHING, dtype=np.int64)
        padded[:, : found.shape[1]] = found[:, :width]
        return {"ids": ended(padded, settings.eos_token_id)}


def ended(ids: Any, ends: int | list[int] | None) -> Any:
    """Put `NOTHING` behind the first token of each row that ends a text.

    >>> import numpy as np
    >>> ended(np.array([[5, 1, 0, 0], [5, 6, 7, 8]]), 1).tolist()
    [[5, 1, -1, -1], [5, 6, 7, 8]]
    """
    import numpy as np

    is_end = np.isin(ids, np.atleast_1d([] if ends is None else ends))
    behind = np.cumsum(is_end, axis=1) - is_end > 0
    return np.where(behind, NOTHING, ids)


def drawing(sampling: dict[str, Any] | None, ids: torch.Tensor, mask: torch.Tensor) -> Any:
    """What turns the best token into a drawn one; nothing where none is drawn."""
    if not sampling:
        return None
    import torch
    from transformers import (
        LogitsProcessor,
        LogitsProcessorList,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    seeds = [
        seed_of(row[real.bool()].tolist(), sampling["seed"])
        for row, real in zip(ids.cpu(), mask.cpu(), strict=True)
    ]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    class Noise(LogitsProcessor):  # type: ignore[misc]
        """Adds to each row the noise of its own generator, one number for each token."""

        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            drawn = torch.stack(
                [torch.empty(scores.shape[1]).exponential_(generator=one) for one in generators]
            )
            return scores - drawn.log().to(scores)

    steps: list[Any] = [TemperatureLogitsWarper(float(sampling["temperature"]))]
    if sampling.get("top_k"):
        steps.append(TopKLogitsWarper(sampling["top_k"]))
    if sampling.get("top_p"):
        steps.append(TopPLogitsWarper(float(sampling["top_p"])))
    return LogitsProcessorList([*steps, Noise()])


def seed_of(tokens: list[int], seed: int) -> int:
    """The seed of one row, by what it reads: the same wherever it stands, in whatever batch."""
    text = f"{seed} {tokens}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1
