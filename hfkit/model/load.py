"""Loading a model for training or prediction, in fp32, and saying which of its weights are new.

transformers loads a checkpoint in the precision it was stored in, so that a bf16 file would be
trained in bf16; and it starts what a file lacks at random with nothing but a table on the terminal.
Here the precision is always fp32, every new weight is named in one note, and a folder whose encoder
is incomplete is an error, unless its user wants to train just that.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit import culprit, garbage
from hfkit.errors import HfkitError, InputError, is_out_of_memory
from hfkit.model.adapted import TENSORS, composed, is_adapted
from hfkit.model.facts import ModelFacts, describe, has_head_of, head_kind, require_head
from hfkit.model.floors import check_libraries
from hfkit.model.lacking import (
    allow_or_refuse,
    check_finite,
    check_layers,
    mismatched,
    of_encoder,
    report,
    some,
)
from hfkit.registry import load_object

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

SPANS, TOKENS = "ForQuestionAnswering", "ForTokenClassification"
# How a model computes and in what it answers is not for its author to say.
OURS = {"return_dict": True, "chunk_size_feed_forward": 0}


def load_for_training(
    folder: Path, auto_class: str, head: Mapping[str, Any], **settings: Any
) -> Any:
    """Load a base model and give it the head of the task; see `load_anew`."""
    return load_anew(folder, auto_class, head, **settings)[0]


def load_anew(
    folder: Path,
    auto_class: str,
    head: Mapping[str, Any],
    *,
    dropout: float | None,
    seed: int,
    name: str = "",
    code: bool = False,
    allow_missing: bool = False,
    fresh: bool = False,
) -> tuple[Any, list[str]]:
    """Load a base model, give it the head of the task, drawn from `seed`, and also return the names
    of the weights that the folder lacks.

    `head` is put into the configuration. A head the folder already has is kept if its label names
    are those of `head`, in whatever order; otherwise it starts anew. A head that finds spans has no
    labels and is kept. With `code` the folder's own Python code runs. With `allow_missing` weights
    of the encoder that the folder lacks are drawn from `seed` too, which is warned of. All weights
    of a `fresh` one are drawn.

    Raises what `gate.check` does, and `InputError` where the weights do not fit the configuration.
    """
    name = name or str(folder)
    check_libraries()
    facts = describe(folder, code=code, fresh=fresh)
    kept = _keeps_head(facts, auto_class, head)
    with quiet(), seeded(seed):
        wanted = {**_foreign_labels(auto_class, head), **head}
        config = _config(folder, wanted, dropout, code=code)
        if fresh:
            return _drawn(folder, auto_class, config, name), []
        model, info = _load(folder, auto_class, config, code=code)
        if facts.has_head and head_kind(auto_class) and not kept:
            _restart(_output_layer(model), getattr(config, "initializer_range", 0.02))
    if kept and "id2label" in head:
        _reorder(model, facts.labels or [], config)
    new = sorted({*info["missing_keys"], *mismatched(info)})
    absent = of_encoder(model, new)
    if absent:
        allow_or_refuse(absent, name, allowed=allow_missing)
    check_layers(info, name)
    check_finite(model, name)
    expected = [key for key in new if key not in set(absent)]
    report(name, facts, bool(head_kind(auto_class)), kept, expected)
    return model, new


def load_for_prediction(
    folder: Path,
    auto_class: str,
    head: Mapping[str, Any] | None = None,
    *,
    name: str = "",
    code: bool = False,
) -> Any:
    """Load a fine-tuned model, ready to predict: fp32, dropout off.

    `head` is read by heads of hfkit's own alone (how to pool); of all others the folder knows best.
    With `code` the folder's own Python code runs. Raises `InputError` for a base model without a
    trained head.
    """
    name = name or str(folder)
    check_libraries()
    require_head(describe(folder, code=code), auto_class, name)
    given = (head or {}) if ":" in auto_class else {}
    with quiet(), composed(folder) as whole:
        config = _config(whole, given, None, code=code)
        model, info = _load(whole, auto_class, config, code=code)
        brought = _adapted(model, folder)
    absent = sorted({*info["missing_keys"], *mismatched(info)} - brought)
    if absent:
        raise InputError(f"{some(absent)} not in the weights, or of another shape", place=name)
    check_layers(info, name)
    check_finite(model, name)
    return model.eval()


def _adapted(model: Any, folder: Path) -> set[str]:
    """Add what an adapter in the folder has learnt; the names of the weights that it brings."""
    if not is_adapted(folder):
        return set()
    from hfkit.model.adapters import put, read

    return put(model, read(folder), str(folder / TENSORS))


def _config(folder: Path, head: Mapping[str, Any], dropout: float | None, *, code: bool) -> Any:
    """The configuration with the task's head and the dropout asked for."""
    from transformers import AutoConfig

    with _readable(folder, None if code else culprit.in_config):
        config = AutoConfig.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=code
        )
    if "num_labels" in head:  # first: setting it invents label names
        config.num_labels = head["num_labels"]
    for key, value in {**OURS, **head}.items():
        setattr(config, key, value)
    if dropout is not None:
        for key in dropout_fields(config.to_dict()):
            setattr(config, key, dropout)
    return config


def dropout_fields(config: Mapping[str, Any]) -> list[str]:
    """The settings of a configuration that are a dropout probability.

    >>> dropout_fields({"hidden_dropout_prob": 0.1, "classifier_dropout": None, "resid_pdrop": 0.1,
    ...                 "layerdrop": 0.0, "summary_use_dropout": True})
    ['hidden_dropout_prob', 'classifier_dropout', 'resid_pdrop']
    """
    return [
        key
        for key, value in config.items()
        if ("dropout" in key or key.endswith("pdrop"))
        and (value is None or (isinstance(value, int | float) and not isinstance(value, bool)))
    ]


def _load(folder: Path, auto_class: str, config: Any, *, code: bool) -> tuple[Any, dict[str, Any]]:
    """Load the model in fp32 and return it with transformers' account of what did not match.

    Attention is torch's scaled_dot_product_attention; where a family has none (DeBERTa-v2), the
    plain one. The constructor says so before any weight is read.
    """
    import torch

    model_class = load_object(auto_class if ":" in auto_class else f"transformers:{auto_class}")

    def load(attention: str) -> tuple[Any, dict[str, Any]]:
        found: tuple[Any, dict[str, Any]] = model_class.from_pretrained(
            str(folder),
            config=config,
            dtype=torch.float32,
            attn_implementation=attention,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=code,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        garbage.usual()
        return found

    def in_model(folder: Path) -> InputError | None:
        from transformers import AutoModel

        return culprit.in_model(folder, getattr(model_class, "from_config", AutoModel.from_config))

    with _readable(folder, None if code else in_model):
        try:
            return load("sdpa")
        except ValueError:
            return load("eager")


def planned(
    folder: Path, auto_class: str, head: Mapping[str, Any], *, attention_dropout: bool = True
) -> Any:
    """The model that a folder describes, made without its weights: nothing is drawn either."""
    from transformers.initialization import no_init_weights

    config = _config(folder, head, None, code=False)
    if not attention_dropout:
        for key in dropout_fields(config.to_dict()):
            if "att" in key:
                setattr(config, key, 0.0)
    with no_init_weights():
        model = _made(folder, auto_class, config)
    for part in model.modules():  # which drawing the weights would have done
        if hasattr(part, "tie_weights"):
            part.tie_weights()
            break
    return model


def drawn(folder: Path, auto_class: str, head: Mapping[str, Any]) -> Any:
    """The same with random weights."""
    with quiet(), seeded(0):
        return _made(folder, auto_class, _config(folder, head, None, code=False)).float()


def _drawn(folder: Path, auto_class: str, config: Any, name: str) -> Any:
    """A model of random weights, from torch's generator as it stands."""
    model = _made(folder, auto_class, config)
    log.info("%s: all weights are new and random", name)
    return model.float()


def _made(folder: Path, auto_class: str, config: Any) -> Any:
    model_class = load_object(auto_class if ":" in auto_class else f"transformers:{auto_class}")
    with _readable(folder, None):
        try:
            found = model_class.from_config(config, attn_implementation="sdpa")
        except ValueError:
            found = model_class.from_config(config, attn_implementation="eager")
    garbage.usual()
    return found


@contextmanager
def _readable(folder: Path, blame: Callable[[Path], InputError | None] | None) -> Iterator[None]:
    """Turn what transformers raises over a folder into one line, that of the setting which is to
    `blame`: nearly any class of exception, as every family reads its configuration in its own way.
    """
    try:
        yield
    except HfkitError:  # ours says its place itself
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        found = blame(folder) if blame else None
        raise found or InputError(
            f"{culprit.NO_MODEL} ({culprit.reason_of(error)})", place=str(folder)
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' reports, progress bars and Python warnings off the terminal."""
    from transformers.utils import logging as reports

    level, bars = reports.get_verbosity(), reports.is_progress_bar_enabled()
    reports.set_verbosity(logging.CRITICAL + 1)
    reports.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        reports.set_verbosity(level)
        if bars:
            reports.enable_progress_bar()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from `seed` inside, and leave torch's generator as it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _keeps_head(facts: ModelFacts, auto_class: str, head: Mapping[str, Any]) -> bool:
    """Whether the folder's head answers the very question that `head` asks."""
    if not has_head_of(facts, auto_class):
        return False
    if head_kind(auto_class) == SPANS:  # where an answer starts and ends: one question for all
        return True
    found, wanted = (
        facts.labels or [],
        [str(name) for name in (head.get("id2label") or {}).values()],
    )
    outputs = int(head.get("num_labels", len(wanted)))
    if head_kind(auto_class) == TOKENS:  # a label for each token, whatever problem_type says
        return len(wanted) > 0 and sorted(found) == sorted(wanted)
    problem = _problem(head.get("problem_type"), outputs)
    if _problem(facts.problem_type, len(found)) != problem:
        return False
    if problem == "regression":  # the name of a number means nothing
        return len(found) == outputs
    return len(wanted) > 0 and sorted(found) == sorted(wanted)


def _foreign_labels(auto_class: str, head: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier head left in the configuration and the new one says nothing of."""
    kind = head_kind(auto_class)
    if kind == SPANS:
        return {"num_labels": 2, "problem_type": None}  # start and end
    return {} if "problem_type" in head else {"problem_type": None}


def _problem(stated: str | None, labels: int) -> str:
    """What transformers takes an unstated problem_type to be."""
    return stated or ("regression" if labels == 1 else "single_label_classification")


def _head_modules(model: Any) -> Iterable[tuple[str, Any]]:
    """The modules beside the encoder, in order."""
    prefix = model.base_model_prefix
    for name, module in model.named_modules():
        if name and name.split(".")[0] != prefix:
            yield name, module


def _output_layer(model: Any) -> Any:
    """The linear layer that gives the logits: the last one beside the encoder."""
    import torch

    layers = [module for _, module in _head_modules(model) if isinstance(module, torch.nn.Linear)]
    if not layers:
        raise InputError(f"{type(model).__name__} has no linear output layer")
    return layers[-1]


def _restart(layer: torch.nn.Linear, spread: float) -> None:
    import torch

    torch.nn.init.normal_(layer.weight, std=spread)
    if layer.bias is not None:
        torch.nn.init.zeros_(layer.bias)


def _reorder(model: Any, stored: list[str], config: Any) -> None:
    """Move the rows of a kept head from the order of its labels to the order of the task's."""
    import torch

    wanted = [config.id2label[number] for number in range(config.num_labels)]
    if sorted(stored) != sorted(wanted) or stored == wanted:
        return
    order = [stored.index(label) for label in wanted]
    layer = _output_layer(model)
    with torch.no_grad():
        layer.weight.copy_(layer.weight[order].clone())
        if layer.bias is not None:
            layer.bias.copy_(layer.bias[order].clone())
