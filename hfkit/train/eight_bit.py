"""AdamW whose two moments take a byte each (Dettmers et al. 2022), as bitsandbytes computes it.

Every 256 numbers of a moment share a scale; parameters of fewer than 4096 keep fp32. The state of
bitsandbytes also holds the table of the 256 values, once for all parameters, and counts steps with
a Python number. Checkpoints hold tensors that are each their own: so it is here, and back again.
"""

from __future__ import annotations

import logging
from typing import Any

import torch

from hfkit.imports import without

logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)  # it misses them
# Through `kernels` it would fetch code from the Hub and run it, for products of 4 bits on some
# processors; optimizers need none.
with without("kernels"):
    from bitsandbytes.optim import AdamW8bit as Original

TABLES = {"qmap1": "dynamic", "qmap2": "udynamic"}  # the same for all parameters and runs


class AdamW8bit(Original):  # type: ignore[misc]
    """`bitsandbytes.optim.AdamW8bit` with a state of tensors, ``{"step", "state1", "state2"}``
    and, where these are bytes, ``{"absmax1", "absmax2"}``."""

    def state_dict(self) -> dict[str, Any]:
        """The state by the number of the parameter, as torch's optimizers give it."""
        parameters = [p for group in self.param_groups for p in group["params"]]
        state = {
            number: {
                name: value if isinstance(value, torch.Tensor) else torch.tensor(float(value))
                for name, value in self.state[parameter].items()
                if name not in TABLES
            }
            for number, parameter in enumerate(parameters)
            if parameter in self.state
        }
        numbers = iter(range(len(parameters)))
        groups = [
            {**group, "params": [next(numbers) for _ in group["params"]]}
            for group in self.param_groups
        ]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any], move_to_device: bool = True) -> None:
        """Go on from what `state_dict` gave; the settings of the groups stay as they are."""
        parameters = [p for group in self.param_groups for p in group["params"]]
        for number, saved in state_dict["state"].items():
            parameter = parameters[number]
            state: dict[str, Any] = {
                name: value.to(parameter.device) for name, value in saved.items()
            }
            state["step"] = int(saved["step"])
            if "absmax1" in state:
                for name, kind in TABLES.items():
                    state[name] = self.name2qmap[kind].to(parameter.device)
            self.state[parameter] = state
