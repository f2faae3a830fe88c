"""A metric that the user names: one of the shells, a script of theirs, or a module of the Hub.

A script runs as code, so only an explicit path or an ``organisation/name`` is ever given to
`evaluate`. `evaluate.load("accuracy")` itself would run ``./accuracy/accuracy.py`` if that exists.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hfkit.errors import InputError, NetworkError, did_you_mean
from hfkit.metrics.base import Answer, field

log = logging.getLogger(__name__)

UserMetric = Callable[[Sequence[Answer], Sequence[Answer], Sequence[str]], dict[str, float]]
Inputs = dict[str, list[Any]]


def user_metric(name_or_path: str, offline: bool = False) -> UserMetric:
    """Find a metric and return a function of (answers, gold, labels) that gives its scores.

    * a name of `hfkit.metrics.shells`: that shell, whatever files lie around;
    * a path (it has a separator or ends in ``.py``, and exists): `evaluate.load` of that file;
    * ``organisation/name``: `evaluate.load` from the Hub;
    * anything else is an `InputError`.

    The metric gets class ids for single labels (names where it asks for texts), floats for
    regression, and one list of 0 and 1 per example for multi-label answers, which only a metric
    whose inputs are lists can take. A result that is not one number is spread over several keys,
    ``name.0`` or ``name.key``; what is not a finite number is left out.

    Raises `NetworkError` where the Hub is needed and not reachable, `InputError` where a script
    cannot be loaded or refuses its inputs.
    """
    module = _load(name_or_path, offline)

    def compute(
        answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
    ) -> dict[str, float]:
        inputs, config = _inputs(module, answers, gold, labels)
        configured = _configured(module, config)
        _check_features(configured, inputs, name_or_path)
        keywords = _keywords(configured, config, len(labels))
        try:
            result = configured.compute(**inputs, **keywords)
        except Exception as error:  # a foreign script may raise anything
            raise InputError(
                f"the metric failed: {type(error).__name__}: {error}", place=name_or_path
            ) from error
        scores = dict(_flat(result, "" if isinstance(result, Mapping) else module.name))
        if not scores:
            raise InputError("the metric gave no finite number", place=name_or_path)
        return scores

    return compute


def _load(name: str, offline: bool) -> Any:
    """Return an `evaluate` module; decides from the name alone whether a file may run."""
    from hfkit.metrics import shells

    known = {**shells.SHELLS, **shells.ELSEWHERE}
    if name in known:
        return shells.load(name)
    if _is_path(name):
        return _load_path(Path(name).expanduser().absolute(), name)
    if name.count("/") == 1 and all(name.split("/")):
        return _load_hub(name, offline)
    raise InputError(
        f"unknown metric '{name}' (a file of that name in the working directory is never run)",
        hint=f"{did_you_mean(name, known)}; a file needs its path, as ./{name}.py",
    )


def _is_path(name: str) -> bool:
    """Whether `name` can only be a path; ``organisation/name`` could be either and is not one."""
    return name.endswith(".py") or name.startswith((".", "~", "/")) or name.count("/") > 1


def _load_path(path: Path, shown: str) -> Any:
    import evaluate

    script = path / f"{path.name}.py" if path.is_dir() else path
    if not script.is_file():
        raise InputError(f"no metric script {script}", place=shown)
    log.info("running the metric script %s", script)
    try:
        return evaluate.load(str(script), keep_in_memory=True)
    except Exception as error:  # importing a foreign script may raise anything
        raise InputError(
            f"cannot load the metric script ({type(error).__name__}: {error})", place=shown
        ) from error


def _load_hub(name: str, offline: bool) -> Any:
    if Path(name).exists() or Path(f"{name}.py").exists():
        raise InputError(
            f"'{name}' is a file here and could be a metric of the Hub",
            hint=f"write ./{name} for the file, or run elsewhere for the Hub",
        )
    if offline:
        raise NetworkError(f"the metric {name} is on the Hub, and this run is offline")
    import evaluate

    log.warning("running the code of the metric %s from the Hub", name)
    try:
        return evaluate.load(name, keep_in_memory=True)
    except (ConnectionError, FileNotFoundError) as error:  # evaluate does not tell them apart
        raise NetworkError(
            f"cannot get the metric {name} from the Hub",
            hint="check the name and the connection",
        ) from error
    except Exception as error:  # importing a foreign script may raise anything
        raise InputError(
            f"cannot load the metric ({type(error).__name__}: {error})", place=name
        ) from error


def _features(module: Any) -> Mapping[str, Any]:
    """Input name -> type; a module with several choices of types is taken by its first."""
    found = module.features
    return dict(found[0] if isinstance(found, list) else found)


def _inputs(
    module: Any, answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
) -> tuple[Inputs, str | None]:
    """What the module reads, and the configuration that Hub modules use for such inputs."""
    if not answers or len(answers) != len(gold):
        raise InputError(f"{len(answers)} answers for {len(gold)} gold answers")
    names = list(_features(module))
    prediction, reference = _names_of_inputs(names, module.name)
    if "answer" in answers[0]:
        return _questions(module, answers, gold), None
    if prediction == "prediction_scores":
        config, predicted = _score_inputs(answers, labels)
    else:
        config, predicted = None, _values(answers, labels, module, prediction, "answer")
    if "labels" in answers[0]:
        config = "multilabel"
    expected = _values(gold, labels, module, reference, "gold answer")
    return {prediction: predicted, reference: expected}, config


def _names_of_inputs(names: Sequence[str], metric: str) -> tuple[str, str]:
    for prediction in ("predictions", "prediction_scores"):
        if sorted(names) == sorted((prediction, "references")):
            return prediction, "references"
    raise InputError(
        f"the metric {metric} reads {', '.join(names)}; "
        "only predictions (or prediction_scores) and references can be given"
    )


def _values(
    answers: Sequence[Answer], labels: Sequence[str], module: Any, name: str, who: str
) -> list[Any]:
    """Answers in the numbers (entities: the tags of words) that Hub modules read."""
    for key in ("tags", "text"):
        if key in answers[0]:
            return field(answers, key, who=who)
    if "value" in answers[0]:
        return [float(value) for value in field(answers, "value", who=who)]
    ids = {label: number for number, label in enumerate(labels)}
    if "labels" in answers[0]:
        chosen = [_known(some, ids, who) for some in field(answers, "labels", who=who)]
        return [[int(number in some) for number in range(len(ids))] for some in chosen]
    names = field(answers, "label", who=who)
    if getattr(_features(module)[name], "dtype", "") == "string":
        return names
    return _known(names, ids, who)


def _questions(module: Any, answers: Sequence[Answer], gold: Sequence[Answer]) -> Inputs:
    """Answers to questions as the modules `squad` and `squad_v2` read them."""
    predictions: list[dict[str, Any]] = [
        {"id": str(number), "prediction_text": text}
        for number, text in enumerate(field(answers, "answer", who="answer"))
    ]
    if "no_answer_probability" in _features(module)["predictions"]:
        if not all("no_answer_score" in one for one in answers):
            hint = "predict with --scores"
            raise InputError("the answers hold no no_answer_score", place=module.name, hint=hint)
        for one, answer in zip(predictions, answers, strict=True):
            score = answer["no_answer_score"]
            likely = 1.0 if score is None else 0.5 * (1 + math.tanh(0.5 * score))
            one["no_answer_probability"] = likely
    references = [
        {
            "id": str(number),
            "answers": {
                "text": [one["text"] for one in right],
                "answer_start": [one["start"] for one in right],
            },
        }
        for number, right in enumerate(field(gold, "answers", who="gold answer"))
    ]
    return {"predictions": predictions, "references": references}


def _known(names: Sequence[str], ids: Mapping[str, int], who: str) -> list[int]:
    for name in names:
        if name not in ids:
            raise InputError(f"{who} label '{name}' is unknown", hint=did_you_mean(name, ids))
    return [ids[name] for name in names]


def _score_inputs(answers: Sequence[Answer], labels: Sequence[str]) -> tuple[str | None, list[Any]]:
    """Scores per example: of the second label where there are two, else of every label."""
    rows = []
    for number, scores in enumerate(field(answers, "scores", who="answer"), start=1):
        if not isinstance(scores, Mapping) or any(label not in scores for label in labels):
            raise InputError("'scores' does not hold every label", place=f"answer {number}")
        rows.append([float(scores[label]) for label in labels])
    if len(labels) == 2 and "labels" not in answers[0]:
        return None, [row[1] for row in rows]
    return "multiclass", rows


def _configured(module: Any, config: str | None) -> Any:
    """The module in another configuration, as `evaluate.load(name, config)` would build it."""
    if config is None:
        return module
    other = type(module)(config_name=config, keep_in_memory=True)
    other.download_and_prepare()
    return other


def _check_features(module: Any, inputs: Inputs, name: str) -> None:
    """Refuse lists where the module reads one value per example."""
    from datasets import Value

    for key, feature in _features(module).items():
        if isinstance(inputs[key][0], list) and isinstance(feature, Value):
            raise InputError(
                "the metric takes one value per example and these answers are lists",
                place=name,
                hint="choose a metric whose inputs are lists",
            )


def _keywords(module: Any, config: str | None, classes: int) -> dict[str, Any]:
    """Settings without which scikit-learn's scores refuse more than two classes."""
    known = inspect.signature(module._compute).parameters
    keywords: dict[str, Any] = {}
    many = config is not None or classes > 2
    if many and "average" in known and known["average"].default == "binary":
        keywords["average"] = "macro"
    if config == "multiclass" and "multi_class" in known:
        keywords["multi_class"] = "ovr"
    for key, value in keywords.items():
        log.info("%s gets %s=%s because there are %d labels", module.name, key, value, classes)
    return keywords


def _flat(result: Any, key: str) -> Iterator[tuple[str, float]]:
    """Spread a result over dotted keys; drop texts and what is not finite."""
    if hasattr(result, "tolist"):
        result = result.tolist()
    if isinstance(result, Mapping):
        for name, inner in result.items():
            yield from _flat(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(result, (list, tuple)):
        if len(result) == 1:
            yield from _flat(result[0], key)
        else:
            for place, inner in enumerate(result):
                yield from _flat(inner, f"{key}.{place}")
    elif isinstance(result, (int, float)) and math.isfinite(result):
        yield key, float(result)
