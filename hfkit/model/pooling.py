"""How a model folder makes one vector of a text: read from its sentence-transformers files.

    modules.json           which steps there are, in order
    1_Pooling/config.json  how the token vectors are pooled, in an old or a new spelling

A step that is not known here (a Dense layer, say) would give other vectors than the model's own, so
such a folder is refused. Nothing here imports torch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hfkit.errors import InputError, SafetyError
from hfkit.model import gate

MODULES = "modules.json"
POOLINGS = ("mean", "cls", "max")
# Where a step's class may lie; it is never imported, hfkit has its own. "": an unnamed class.
OWN_LIBRARIES = ("sentence_transformers", "")
KNOWN_STEPS = ("Transformer", "Pooling", "Normalize")
OLD_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
}


def stored_pooling(folder: Path) -> str | None:
    """Return how the model in `folder` pools: "mean", "cls" or "max"; None where it does not say.

    Raises `InputError` for a way that is none of these, and for steps that are not known.
    """
    path = None
    for step in _steps(folder):
        library, _, kind = str(step.get("type", "")).rpartition(".")
        if library.partition(".")[0] not in OWN_LIBRARIES:
            raise SafetyError(
                f"names a Python class to run ({step.get('type')!s:.60})",
                place=str(folder / MODULES),
            )
        if kind not in KNOWN_STEPS:
            raise InputError(
                f"a step of its vectors ({kind[:40]}) is not known here",
                place=str(folder / MODULES),
                hint="known: " + ", ".join(KNOWN_STEPS),
            )
        if kind == "Pooling":
            path = str(step.get("path", ""))
    if path is None:
        return None
    if not gate.inside(folder, f"{path}/config.json").is_file():
        raise InputError(
            "not there, and so how it pools is not known",
            place=str(folder / path / "config.json"),
            hint="download the model again",
        )
    return _mode(gate.read_object(folder, f"{path}/config.json"), str(folder / path))


def _mode(config: dict[str, Any], place: str) -> str:
    """One name from the new spelling, a name or a list, or the old one, a switch for each."""
    modes = config.get("pooling_mode")
    if modes is None:
        on = [key for key, value in config.items() if key.startswith("pooling_mode_") and value]
        modes = [OLD_KEYS.get(key, key.removeprefix("pooling_mode_")) for key in on]
    names = [modes] if isinstance(modes, str) else modes
    if not isinstance(names, list) or len(names) != 1 or names[0] not in POOLINGS:
        shown = " + ".join(map(str, names)) if isinstance(names, list) else str(names)
        raise InputError(
            f"pooling by {shown[:60] or 'nothing'} is not known here",
            place=place,
            hint="--pooling " + "|".join(POOLINGS),
        )
    return str(names[0])


def _steps(folder: Path) -> list[dict[str, Any]]:
    if not (folder / MODULES).exists():
        return []
    path = gate.inside(folder, MODULES)
    try:
        steps = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError("not JSON", place=str(path)) from error
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise InputError("expected a list of JSON objects", place=str(path))
    return steps


def sentence_files(pooling: str, width: int, max_length: int, *, normalize: bool) -> dict[str, Any]:
    """The files that make an encoder's folder a sentence-transformers model: path -> content.

    The spelling is the one that its versions 2 to 6 and text-embeddings-inference understand; the
    latter asks for both switches, of cls and of mean.
    """
    steps = KNOWN_STEPS if normalize else KNOWN_STEPS[:2]
    last: dict[str, Any] = {"2_Normalize/config.json": {}} if normalize else {}
    return {
        MODULES: [
            {
                "idx": number,
                "name": str(number),
                "path": f"{number}_{step}" if number else "",
                "type": f"sentence_transformers.models.{step}",
            }
            for number, step in enumerate(steps)
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": width,
            "pooling_mode_cls_token": pooling == "cls",
            "pooling_mode_mean_tokens": pooling == "mean",
            "pooling_mode_max_tokens": pooling == "max",
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
        **last,
        "sentence_bert_config.json": {"max_seq_length": max_length, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "__version__": {},
            "prompts": {},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }
