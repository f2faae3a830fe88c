"""Opening a run, or any model with a trained head, for prediction and evaluation.

A run's folder knows its task, its options and which column is what; a model from elsewhere has only
its config.json, and flags say the rest.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit import sealing
from hfkit.errors import InputError, SafetyError
from hfkit.model import gate
from hfkit.model.adapted import FILES
from hfkit.processor import without_buffers
from hfkit.registry import find_task, make_task
from hfkit.run.decisions import DECISIONS, overruled, read_decisions
from hfkit.run.output import RUN

if TYPE_CHECKING:
    from hfkit.config import EvaluateConfig, ExportConfig, FinetuneConfig, PredictConfig
    from hfkit.hashing import Hashes
    from hfkit.model.locate import Located
    from hfkit.tasks.base import Task
    from hfkit.text import Tokenizer

log = logging.getLogger(__name__)

SETTINGS = "hfkit.yaml"
USUAL_LENGTH = 512
ANSWERED = ("zero-shot", "text2text", "generation")  # by a server
# What a run's answers depend on beside its weights, which are compared when they are read.
DECISIVE = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "bpe.codes", "spiece.model",
    "sentencepiece.bpe.model", "tokenizer.model", "source.spm", "target.spm", SETTINGS, DECISIONS,
    RUN, "modules.json", "generation_config.json", "chat_template.jinja", "1_Pooling/config.json",
    "config_sentence_transformers.json", "adapter/adapter_config.json", "adapter/base.json",
)  # fmt: skip
# What a model from elsewhere is asked for, by the end of its architecture's name.
TASK_OF_HEAD = {
    "ForTokenClassification": "ner",
    "ForQuestionAnswering": "qa",
    "ForConditionalGeneration": "text2text",
    "MTModel": "text2text",
    "ForMaskedLM": "mlm",
    "ForCausalLM": "generation",
    "LMHeadModel": "generation",
    "ForNextSentencePrediction": "nsp",
}


@dataclass(frozen=True)
class Opened:
    """A model with everything around it that turns rows into answers, but for the engine.

    `settings` are those of the run, `columns` says which column of its data was what, `label_base`
    the number of the first of its label names; all are None for a model from elsewhere. `endpoint`
    is the server that answers, if it is not a model here; it has no tokenizer. `code`: whether the
    user has allowed the folder's own Python code. `hashes` of weights may be under way.
    """

    name: str
    folder: Path
    task: Task[Any]
    tokenizer: Tokenizer | None
    settings: FinetuneConfig | None = None
    columns: dict[str, str | list[str]] | None = None
    label_base: int | None = None
    endpoint: str | None = None
    code: bool = False
    hashes: Hashes | None = None


def open_run(
    model: str,
    config: EvaluateConfig | ExportConfig | PredictConfig,
    *,
    anew: bool = False,
    hashes: Hashes | None = None,
) -> Opened:
    """Open a run's folder, a model folder or a Hub id; with `anew`, without what was exported.
    Where one process is going to answer, `hashes` begin at once.

    Flags win over what the run saved. Raises `InputError` for a name that leads nowhere, a base
    model without a head, and settings that do not fit.
    """
    from hfkit.config import PredictConfig
    from hfkit.model.facts import describe, require_head
    from hfkit.model.locate import locate
    from hfkit.run import engines

    if config.options.get("endpoint"):
        return _elsewhere(model, config)
    without_buffers()
    located = locate(model, offline=config.offline, code=config.allow_remote_code)
    if hashes is not None and isinstance(config, PredictConfig) and config.num_processes == 1:
        engines.begin(located.folder, config, config.device, hashes)
    saved = read_settings(located.folder)
    if saved and ":" in (saved.task or "") and config.task != saved.task:
        raise SafetyError(
            f"its settings name code to run as the task ({saved.task})",
            place=str(located.folder / SETTINGS),
            hint=f"if you trust it: -t {saved.task}",
        )
    if saved or _was_run(located.folder):
        check_settings(located.folder)
    facts = describe(located.folder, code=located.code)
    name = config.task or (saved.task if saved else None) or _guessed(facts.architecture)
    trained = saved.task if saved else None
    own = trained is not None and find_task(trained)[0] == find_task(name)[0]
    options = {**(saved.options if saved and own else {}), **config.options}
    task = make_task(name, options)
    task.asked = isinstance(config, PredictConfig)
    decided = read_decisions(located.folder, None if own else find_task(name)[0])
    task.decisions = overruled(decided, config.options)
    task.restore(json.loads((located.folder / "config.json").read_text("utf-8")))
    require_head(facts, task.auto_class, model)
    wanted = config.max_length or (saved.max_length if saved else None)
    max_length = checked_length(wanted, facts.max_length)
    tokenizer = load_tokenizer(
        located, max_length, of_run=saved is not None, anew=anew, languages=task.languages
    )
    task.read_with(tokenizer)
    data = data_of(located.folder) if own else {}
    return Opened(
        model, located.folder, task, tokenizer, saved, code=located.code, hashes=hashes, **data
    )


def load_tokenizer(
    located: Located,
    max_length: int,
    *,
    of_run: bool,
    anew: bool = False,
    languages: tuple[str, str] | None = None,
) -> Tokenizer:
    """The tokenizer of a run or a model; transformers makes it where none lies ready, in a run or
    in what was exported, always `anew` for a model that is no run, and where `languages` are
    named."""
    from hfkit import text
    from hfkit.run.exported import read_tokenizer

    folder = located.folder
    if not located.code and languages is None:
        if of_run and (folder / "tokenizer.json").exists():
            return text.from_file(folder, max_length)
        ready = None if of_run or anew else read_tokenizer(folder, max_length)
        if ready is not None:
            return ready
    return text.from_transformers(folder, max_length, code=located.code, languages=languages)


def _elsewhere(model: str, config: EvaluateConfig | ExportConfig | PredictConfig) -> Opened:
    """A model that a server has. Raises `InputError` for a task that is not answered in words."""
    from hfkit.config import PredictConfig

    name = config.task or "zero-shot"
    found = find_task(name)[0]
    if found not in ANSWERED:
        raise InputError(
            f"{name} needs a model here: a server answers in words ({', '.join(ANSWERED)})",
            place="--endpoint",
        )
    task = make_task(name, config.options)
    task.asked = isinstance(config, PredictConfig)
    if found == "generation" and not task.asked:
        hint = "evaluate what hfkit predict wrote, with -t text2text"
        raise InputError("a server does not judge texts", place="--endpoint", hint=hint)
    if config.options.get("template"):
        log.info("--template plays no part where a server answers")
    return Opened(model, Path(), task, None, endpoint=config.options["endpoint"])


def checked_length(wanted: int | None, longest: int) -> int:
    """The window to use: as wanted, else the model's longest, at most 512 tokens.

    Raises `InputError` when the model cannot read as many.

    >>> checked_length(None, 8192), checked_length(64, 512)
    (512, 64)
    """
    if wanted is not None and wanted > longest:
        raise InputError(
            f"{wanted} tokens are more than the model reads ({longest})",
            place="--max-length",
            hint="longer texts are read in windows",
        )
    return wanted or min(longest, USUAL_LENGTH)


def read_settings(folder: Path) -> FinetuneConfig | None:
    """Return the settings of the run in `folder`; None where it is not a run."""
    from hfkit.config import FinetuneConfig
    from hfkit.layers import resolve

    if not (folder / SETTINGS).is_file():
        return None
    gate.inside(folder, SETTINGS)
    return resolve(FinetuneConfig, {"config": str(folder / SETTINGS)}, {})


def kind_of(name: str) -> str:
    """What lies in the folder of this name: a "run", a "model", or "" for neither."""
    folder = Path(name).expanduser()
    if not (folder / "config.json").is_file():
        return ""
    return "run" if (folder / SETTINGS).is_file() else "model"


def _was_run(folder: Path) -> bool:
    """Whether a manifest of hfkit's says that the folder is a run's, whose settings may be gone."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return SETTINGS in sealing.sealed_files(folder)
    return False


def check_weights(folder: Path) -> None:
    """Refuse a run whose weights are not those that were sealed; of what is no run none are."""
    if (folder / SETTINGS).is_file():
        _check_sealed(folder, ("model.safetensors", *FILES))


def check_settings(folder: Path) -> None:
    """Refuse a run in which a file that changes its answers is not the one that was sealed."""
    _check_sealed(folder, DECISIVE)


def _check_sealed(folder: Path, names: Collection[str]) -> None:
    wrong = sealing.damage(folder, only=names)
    if wrong is not None:
        raise InputError(f"damaged: {wrong}", place=str(folder), hint="fine-tune it again")


def data_of(folder: Path) -> dict[str, Any]:
    """How the run in `folder` read its data; nothing where it is not a run."""
    path = folder / RUN
    if not path.is_file():
        return {}
    run = sealing.read_json(path)
    return {name: run[name] for name in ("columns", "label_base") if name in run}


def _guessed(architecture: str) -> str:
    """The task of a model from elsewhere, by its architecture."""
    task = next(
        (name for end, name in TASK_OF_HEAD.items() if architecture.endswith(end)), "classification"
    )
    log.info(
        "no task named; taking %s for a %s; override with -t",
        task,
        architecture or "model without an architecture",
    )
    return task
