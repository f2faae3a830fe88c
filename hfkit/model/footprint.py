"""What a model would take, found by computing without numbers: shapes alone, on no memory.

torch's fake tensors have a shape, a type and a device, and nothing in them. A model made of them
runs through a real step, the hooks that leave out padding and the dropout of training with it, and
`Held` counts the bytes that would be alive at once. So nothing is assumed about a family: what its
layers keep for the backward pass is what they keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakValueDictionary, finalize

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from transformers.pytorch_utils import Conv1D

from hfkit.model.dropout import quicken
from hfkit.model.load import planned, quiet
from hfkit.model.lora import Lora, chosen
from hfkit.model.packing import Packing
from hfkit.model.unpad import attach_measured

if TYPE_CHECKING:
    from collections.abc import Iterator

# glibc hands a block of this size back to the system as soon as it is freed, and keeps smaller ones
# (DEFAULT_MMAP_THRESHOLD_MAX), unless told otherwise.
SMALL = 2**25

Scored = Callable[[Any, Mapping[str, Tensor]], Tensor]


class Alive(NamedTuple):
    """The most bytes of tensors that are alive at once: of all, and of those below `SMALL`."""

    most: int
    small: int


class Held(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While open, counts the bytes of tensors that are alive; `peak` is the most there were."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = Alive(0, 0)
        self.peak = Alive(0, 0)
        self._known: WeakValueDictionary[int, Any] = WeakValueDictionary()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        tree_map_only(Tensor, self._note, found)
        return found

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if self._known.get(id(storage)) is storage:
            return
        size = storage.nbytes()
        self._known[id(storage)] = storage
        self._add(size)
        self.peak = Alive(*map(max, self.peak, self.now))
        finalize(storage, self._add, -size)

    def _add(self, size: int) -> None:
        self.now = Alive(self.now.most + size, self.now.small + size * (abs(size) < SMALL))


@dataclass(frozen=True)
class Skeleton:
    """A model without numbers, and what makes its tensors."""

    model: Any
    mode: FakeTensorMode
    fused: bool

    @property
    def parameters(self) -> int:
        """How many numbers its weights are."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def learning(self) -> int:
        """How many of them learn."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    @property
    def weights(self) -> int:
        """Bytes of all weights and buffers, fp32."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def skeleton(
    folder: Path, auto_class: str, head: Mapping[str, Any], *, fused: bool = False
) -> Skeleton:
    """The model that `folder` describes with the head of a task; no weights are read.

    `fused`: as on a GPU, whose attention keeps no scores of pairs of tokens. On a CPU torch has
    such a kernel without dropout alone, so it is made without dropout there.
    Raises `InputError` where the configuration describes no such model.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with quiet(), mode:
        model = planned(folder, auto_class, head, attention_dropout=not fused)
    return Skeleton(model, mode, fused)


class Beside(nn.Module):
    """A linear layer that is kept, and an adapter of `rank` beside it that learns."""

    def __init__(self, layer: Any, rank: int) -> None:
        super().__init__()
        rows, columns = layer.weight.shape
        if isinstance(layer, Conv1D):
            rows, columns = columns, rows
        self.layer = layer
        self.down = nn.Linear(columns, rank, bias=False)
        self.up = nn.Linear(rank, rows, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """What the layer gives, and what the adapter adds."""
        found: Tensor = self.layer(values) + self.up(self.down(values)) * 2.0
        return found


def adapt(made: Skeleton, lora: Lora) -> None:
    """Put adapters where `hfkit finetune --lora` would; all else is kept but the head.

    peft moves its layers about, which tensors without numbers do not bear. Raises `InputError` for
    targets that the model does not have.
    """
    model = made.model
    base = getattr(model, model.base_model_prefix, model)
    for parameter in base.parameters():
        parameter.requires_grad_(False)
    linear = {
        path: module for path, module in base.named_modules() if type(module) in (nn.Linear, Conv1D)
    }
    with made.mode:
        for path in chosen(linear, lora.targets):
            parent, _, name = path.rpartition(".")
            setattr(base.get_submodule(parent), name, Beside(linear[path], lora.r))


def step_peak(
    made: Skeleton, inputs: Mapping[str, Tensor], scored: Scored, *, half: bool, unpad: bool
) -> Alive:
    """The most bytes beside the weights while a batch goes forward and backward, gradients
    among them. Raises what the model raises over such a batch."""
    made.model.train()
    quicken(made.model)
    return _computed(made, inputs, scored, half=half, unpad=unpad)


def answer_peak(made: Skeleton, inputs: Mapping[str, Tensor], *, unpad: bool) -> Alive:
    """The most bytes beside the weights while a batch is answered, in fp32."""
    made.model.eval()
    return _computed(made, inputs, None, half=False, unpad=unpad)


def writing_peak(made: Skeleton, inputs: Mapping[str, Tensor], written: int) -> Alive:
    """The most bytes beside the weights while texts of `written` tokens are written for a batch.

    The encoder reads each row once. Then each row is there once for every beam, and the decoder
    keeps keys and values: of the whole text that was read, and of each token that was written. As
    many tokens may follow in every beam as the vocabulary has.
    """
    made.model.eval()
    model, beams = made.model, made.model.generation_config.num_beams
    with quiet(), made.mode, Held() as held, torch.inference_mode():
        read = {name: inputs[name].clone() for name in ("input_ids", "attention_mask")}
        found = model.get_encoder()(**read).last_hidden_state.repeat_interleave(beams, dim=0)
        mask = read["attention_mask"].repeat_interleave(beams, dim=0)
        first = torch.ones(len(mask), 1, dtype=torch.long)
        step = model(encoder_outputs=(found,), attention_mask=mask, decoder_input_ids=first,
                     use_cache=True)  # fmt: skip
        kept = step.past_key_values.self_attention_cache.layers
        grown = [
            torch.cat([part] * written, dim=-2) for one in kept for part in (one.keys, one.values)
        ]
        del kept
        scores = step.logits[:, -1].float().log_softmax(dim=-1)
        scores = scores + torch.ones(len(mask), 1)
        del grown, scores
    peak: Alive = held.peak
    return peak


def _computed(
    made: Skeleton, inputs: Mapping[str, Tensor], scored: Scored | None, *, half: bool, unpad: bool
) -> Alive:
    rounding = torch.autocast("cpu", torch.bfloat16) if half else nullcontext()
    shape = inputs["input_ids"].shape
    packing = Packing(torch.ones(shape, dtype=torch.long), coarse=half)
    with (
        quiet(),
        attached(made, packing if unpad and not made.fused else None),
        made.mode,
        Held() as held,
        rounding,
    ):
        placed = {name: value.clone() for name, value in inputs.items()}
        if scored is None:
            with torch.inference_mode():
                made.model(**placed)
        else:
            read = {name: value for name, value in placed.items() if name != "labels"}
            learning = [one for one in made.model.parameters() if one.requires_grad]
            torch.autograd.grad(scored(made.model(**read), placed), learning, allow_unused=True)
    peak: Alive = held.peak
    return peak


@contextmanager
def attached(made: Skeleton, packing: Packing | None) -> Iterator[None]:
    """While open, the model computes without padding where its family allows it."""
    hooks = attach_measured(made.model, packing) if packing is not None else None
    try:
        yield
    finally:
        if hooks is not None:
            hooks.remove()
