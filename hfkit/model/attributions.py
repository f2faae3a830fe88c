"""What of its input a model went by: integrated gradients, and the attention of each head.

Integrated gradients (Sundararajan et al., ICML 2017) follow the gradient of one number from a text
without words (every word masked) to the text itself. What each token adds on the way sums up to
the difference of the two numbers; how far it does not is the error, and more steps make it smaller.
captum computes them. The vectors of the tokens are put into the model at its input embeddings, so
that every family goes the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from hfkit.errors import InputError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

Number = Callable[[Mapping[str, Any]], Any]  # of a model's outputs, one for each row

FIRST_STEPS, MOST_STEPS = 32, 1024
CLOSE = 0.05  # of the difference: the error that more steps are taken for
AT_ONCE = 32  # rows
# Families whose heads add more to QK^T than a mask, and what.
BEYOND_THE_FORMULA = {
    "deberta": "terms for the distance of two tokens, and another scale",
    "deberta-v2": "terms for the distance of two tokens, and another scale",
    "mpnet": "a learnt number for the distance of two tokens",
    "t5": "a learnt number for the distance of two tokens, and no scale",
    "mt5": "a learnt number for the distance of two tokens, and no scale",
    "xlnet": "terms for the distance of two tokens",
}


class Attributed(NamedTuple):
    """What each token adds ``[tokens]``, the number with the text and with every word masked, and
    the steps that were taken."""

    tokens: NDArray[Any]
    value: float
    baseline: float
    steps: int

    @property
    def error(self) -> float:
        """How far the sum of the tokens is from the difference of the numbers, as a share of it."""
        apart = abs(float(self.tokens.sum()) - (self.value - self.baseline))
        return apart / max(abs(self.value - self.baseline), 1e-6)


def has_captum() -> bool:
    """Whether captum is installed."""
    return find_spec("captum") is not None


def check_captum() -> None:
    """Raise `InputError` where captum is not installed."""
    if not has_captum():
        raise InputError(
            "integrated gradients need captum", place="--method",
            hint="pip install 'hfkit[explain]', or use --method occlusion",
        )  # fmt: skip


def integrated_gradients(
    model: Any, inputs: Mapping[str, NDArray[Any]], masked: NDArray[Any], number: Number
) -> Attributed:
    """Attribute a number of the outputs to the tokens of one row.

    `inputs` are the model's, each ``[1, tokens]``; `masked` is ``input_ids`` with every word
    masked. Steps are doubled until the error is below 5 %, or 1024 are taken.
    """
    import torch
    from captum.attr import IntegratedGradients

    device = next(model.parameters()).device
    tensors = {name: torch.from_numpy(array).to(device) for name, array in inputs.items()}
    table = model.get_input_embeddings()
    with torch.no_grad():
        vectors = table(tensors["input_ids"])
        start = table(torch.from_numpy(masked).to(device))

    def forward(found: torch.Tensor) -> torch.Tensor:
        rows = {name: one.expand(len(found), -1) for name, one in tensors.items()}
        with _in_place_of(table, found):
            result: torch.Tensor = number(dict(model(**rows)))
        return result

    with torch.no_grad():
        value, baseline = float(forward(vectors)[0]), float(forward(start)[0])
    steps, gradients = FIRST_STEPS, IntegratedGradients(forward)
    while True:
        found = gradients.attribute(vectors, start, n_steps=steps, internal_batch_size=AT_ONCE)
        tokens = found.sum(dim=-1)[0].detach().double().cpu().numpy()
        attributed = Attributed(tokens, value, baseline, steps)
        if attributed.error < CLOSE:
            return attributed
        if steps >= MOST_STEPS:
            log.warning("after %d steps the sum is still %.0f%% off", steps, 100 * attributed.error)
            return attributed
        steps *= 2
        log.info("the sum is %.0f%% off: taking %d steps", 100 * attributed.error, steps)


@contextmanager
def _in_place_of(table: Any, vectors: torch.Tensor) -> Iterator[None]:
    """Let a table of embeddings give these vectors, whatever it is asked for."""
    hook = table.register_forward_hook(lambda *_: vectors)
    try:
        yield
    finally:
        hook.remove()


def attention(model: Any, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """What the heads of each layer look at in one row: ``[heads, tokens, tokens]`` for each, whose
    rows sum to 1. The model is set to plain attention, which keeps its matrices.

    Raises `InputError` for a model that does not give them.
    """
    import torch

    device = next(model.parameters()).device
    encoder = getattr(model, "encoder", model) if hasattr(model, "pooling") else model
    tensors = {name: torch.from_numpy(array).to(device) for name, array in inputs.items()}
    try:
        encoder.set_attn_implementation("eager")
        with torch.no_grad():
            found = encoder(**tensors, output_attentions=True).attentions
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"the model does not show its attention ({error})") from error
    if not found or any(one is None for one in found):
        raise InputError("the model does not show its attention", place="--attention")
    return [one[0].float().cpu().numpy() for one in found]


def beyond_the_formula(model: Any) -> str:
    """What a family adds to softmax(QK^T / sqrt(d)); "" where that is all."""
    return BEYOND_THE_FORMULA.get(str(getattr(model.config, "model_type", "")), "")
