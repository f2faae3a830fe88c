"""`hfkit explain`: which words an answer came from."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit.abstaining import abstain
from hfkit.config import ExplainConfig, PredictConfig
from hfkit.data.output import open_output
from hfkit.errors import InputError

if TYPE_CHECKING:
    from hfkit.infer.predictor import Predictor
    from hfkit.run.explaining import Asked, Explanation
    from hfkit.run.opening import Opened
    from hfkit.tasks.base import Answer, Row

log = logging.getLogger(__name__)

MODEL_HINT = 'name a run: hfkit explain RUN "some text"'


@dataclass(frozen=True)
class Attention:
    """What the heads look at: for each text that is read, its `tokens` and the `layers`, each
    ``[heads][from][to]``. `note` says what the family adds to softmax(QK^T / sqrt(d))."""

    tokens: list[str]
    layers: list[Any]
    note: str

    def to_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {"tokens": self.tokens, "layers": self.layers, "note": self.note or None}


@dataclass(frozen=True)
class Explained:
    """An answer, and where it came from. `notes` say what its numbers have to do with each other,
    `abstained` whether `predict` withholds it; None where the model gives every answer."""

    model: str
    task: str
    row: Row
    answer: dict[str, Any]
    explanations: list[Explanation]
    attention: list[Attention]
    notes: list[str] = field(default_factory=list)
    abstained: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "model": self.model,
            "task": self.task,
            **self.row,
            "prediction": self.answer,
            **({} if self.abstained is None else {"abstained": self.abstained}),
            "notes": self.notes,
            "explanations": [one.to_json() for one in self.explanations],
            **({"attention": [one.to_json() for one in self.attention]} if self.attention else {}),
        }


def explain(config: ExplainConfig) -> Explained:
    """Explain the answer of ``config.model`` to a text, and write a page to ``config.output``.

    Raises `InputError` for a name that leads nowhere, for a task that is not explained, for a text
    that is missing, and where what is needed is not installed.
    """
    if not config.model:
        raise InputError("no model", hint=MODEL_HINT)
    if config.text and _is_file(config.text):
        hint = f"hfkit predict {config.model} {config.text} answers the rows of a file"
        raise InputError(f"{config.text} is a file; one text is explained", hint=hint)
    if config.output is None:
        return _explained(config)
    from hfkit.reports.explanation_page import page

    with open_output(config.output, config.overwrite) as output:
        explained = _explained(config)
        output.write(page(explained.to_json()))
    return explained


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False


def _explained(config: ExplainConfig) -> Explained:
    from hfkit.config.explain import EXPLAINED
    from hfkit.run.explaining import asked, by_gradients, by_occlusion
    from hfkit.run.opening import open_run

    method = _method(config)
    settings = _prediction(config)
    opened = open_run(config.model or "", settings)
    opened.task.asked = False  # what is unsure is explained too
    task = type(opened.task).__module__.rpartition(".")[2].replace("_", "-")
    if task not in EXPLAINED or opened.tokenizer is None:
        raise InputError(f"{task} is not explained", hint="one of " + ", ".join(EXPLAINED))
    row = _row(config, opened, task)
    predictor, model = _predictor(opened, settings, method, attention=config.attention)
    answer, numbers = asked(predictor, task, row, config.label)
    if method == "gradients":
        found = [by_gradients(predictor, model, one) for one in numbers]
    else:
        found = [by_occlusion(predictor, one) for one in numbers]
    looks = _attention(predictor, model, numbers) if config.attention else []
    withheld = _withheld(predictor, answer)
    if withheld:
        log.warning("%s", withheld)
    return Explained(
        config.model or "", task, row, predictor.task.brief(answer), found, looks,
        notes=[*([withheld] if withheld else []), *_notes(predictor, task, answer)],
        abstained=None if withheld is None else bool(withheld),
    )  # fmt: skip


def _withheld(predictor: Predictor, answer: Answer) -> str | None:
    """What `predict` withholds of an answer: "" for nothing, None where it withholds nothing
    ever."""
    below = predictor.task.decisions.get("abstain_below")
    if below is None:
        return None
    if not (shown := abstain(answer, below)).get("abstained"):
        return ""
    whole = answer.get("entities") or answer.get("labels") or [answer]
    some = shown["withheld"] if isinstance(shown["withheld"], list) else [shown["withheld"]]
    what = "this answer" if len(some) == len(whole) else f"{len(some)} of {len(whole)} of these"
    verb = "is" if what == "this answer" or len(some) == 1 else "are"
    return f"{what} {verb} withheld by hfkit predict: less sure than {below:.4g} (hfkit calibrate)"


def _notes(predictor: Predictor, task: str, answer: Answer) -> list[str]:
    """What the number that is explained has to do with the answer's score."""
    if task == "qa":
        return ["the score of an answer is made of its logits beside those of other answers"]
    if task != "similarity":
        several = task == "classification" and predictor.task.labels and "labels" not in answer
        other = " beside those of the other labels" if several else ""
        return [] if "value" in answer else [f"a score is made of the logit{other}"]
    decided = predictor.task.decisions
    raw = "cosine" if "cosine" in answer else "sigmoid of the logit"
    if "slope" not in decided:
        return [f"the score is the {raw}"]
    line = f"{decided['slope']:.4g} × {raw} {decided['offset']:+.4g}"
    scale = decided.get("scale")
    on = f", {scale[0]:g} to {scale[1]:g}" if scale else ""
    return [f"the score {answer['score']:.4g} is on the scale of the labels{on}: {line}"]


def _method(config: ExplainConfig) -> str:
    """How to explain. Raises `InputError` where that cannot be."""
    from hfkit.model.attributions import check_captum, has_captum

    exported = config.engine in ("onnx", "openvino")
    if config.method == "gradients" and exported:
        hint = "use --engine torch, or --method occlusion"
        raise InputError(f"{config.engine} has no gradients", place="--method", hint=hint)
    if config.attention and exported:
        hint = "use --engine torch"
        raise InputError(f"{config.engine} does not show it", place="--attention", hint=hint)
    if config.method == "auto" and exported:
        log.info("%s has no gradients: each word is masked in turn (occlusion)", config.engine)
        return "occlusion"
    if config.method == "auto" and not has_captum():
        log.info(
            "captum is not installed: each word is masked in turn (occlusion); for integrated "
            "gradients: pip install 'hfkit[explain]'"
        )
        return "occlusion"
    if config.method != "occlusion":
        check_captum()
        return "gradients"
    return "occlusion"


def _prediction(config: ExplainConfig) -> PredictConfig:
    names = set(ExplainConfig.model_fields) & set(PredictConfig.model_fields)
    names -= {"config", "set", "model", "text", "output", "overwrite", "json_output"}
    return PredictConfig(**{name: getattr(config, name) for name in names})


def _row(config: ExplainConfig, opened: Opened, task: str) -> Row:
    """The row that is asked for. Raises `InputError` where a part of it is missing."""
    given = {
        name: getattr(config, name) for name in ("text", "text_pair", "question", "context")
        if getattr(config, name) is not None
    }  # fmt: skip
    if task == "qa":
        wanted = ["question", "context"]
    else:
        pairs = task == "similarity" or "text_pair" in (opened.columns or {})
        wanted = ["text", "text_pair"] if pairs or "text_pair" in given else ["text"]
    missing = [name for name in wanted if not str(given.get(name, "")).strip()]
    if missing:
        flags = " ".join('"…"' if name == "text" else f"--{name.replace('_', '-')} …"
                         for name in wanted)  # fmt: skip
        raise InputError(
            f"this model reads {' and '.join(wanted)}", place=missing[0].replace("_", "-"),
            hint=f"hfkit explain {config.model} {flags}",
        )  # fmt: skip
    left = [name for name in given if name not in wanted]
    if left:
        raise InputError(f"this model reads {' and '.join(wanted)}", place=left[0])
    return {name: given[name] for name in wanted}


def _predictor(
    opened: Opened, settings: PredictConfig, method: str, *, attention: bool
) -> tuple[Predictor, Any]:
    """What answers, and the model itself where gradients or attention are asked of it: as it is
    stored, since what speeds up batches has no part in one text."""
    from hfkit.infer.predictor import Predictor
    from hfkit.run.predicting import make_predictor

    if method == "occlusion" and not attention:
        found = make_predictor(opened, settings)
        assert isinstance(found, Predictor)  # a server has no tokenizer
        return found, None
    from hfkit.infer.torch_engine import choose_device, engine_of
    from hfkit.model.arithmetic import set_arithmetic
    from hfkit.model.load import load_for_prediction
    from hfkit.run.opening import check_weights

    check_weights(opened.folder)
    set_arithmetic(settings.kernels, settings.threads)
    task = opened.task
    model = load_for_prediction(
        opened.folder, task.auto_class, task.head(), name=opened.name, code=opened.code
    )
    engine = engine_of(model, choose_device(settings.device))
    assert opened.tokenizer is not None
    return Predictor(task, opened.tokenizer, engine), model


def _attention(predictor: Predictor, model: Any, numbers: list[Asked]) -> list[Attention]:
    """The attention of each text that was read."""
    from hfkit.model.attributions import attention, beyond_the_formula
    from hfkit.run.explaining import model_inputs, token_names

    found = []
    note = beyond_the_formula(model)
    if note:
        log.warning(
            "the heads of this model are more than softmax(QK^T/sqrt(d)): they add %s; what is "
            "shown is what they compute", note,
        )  # fmt: skip
    rows: list[Any] = []
    for one in numbers:
        if one.row not in rows:
            rows.append(one.row)
    for row in rows:
        layers = attention(model, model_inputs(predictor, model, row))
        tokens = token_names(predictor, row["input_ids"])
        found.append(Attention(tokens, [layer.tolist() for layer in layers], note))
    return found
