"""Each score as an `evaluate.Metric`, for code that already speaks that interface.

A shell takes the inputs and keyword arguments of the Hub module of the same name and gives the
same keys on the same scale, but is part of this package: no network, no download, no files.

    accuracy = load("accuracy")
    accuracy.compute(predictions=[0, 1], references=[0, 0])      # {"accuracy": 0.5}

The arithmetic is scikit-learn's and SciPy's, as in the Hub modules, because their keyword
arguments (sample weights, partial areas, averages) are. Importing this module imports `evaluate`,
which takes seconds: import it inside the function that needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import datasets
import evaluate

from hfkit.errors import InputError, did_you_mean
from hfkit.registry import load_object

SKLEARN = "https://scikit-learn.org/stable/modules/generated/sklearn.metrics.{}.html"
SCIPY = "https://docs.scipy.org/doc/scipy/reference/generated/scipy.stats.{}.html"


class Shell(evaluate.Metric):  # type: ignore[misc]
    """What all shells share: a description in class attributes, and no files by default."""

    score: ClassVar[str]  # one sentence, with the formula
    source: ClassVar[str]
    dtype: ClassVar[str] = "int32"
    list_config: ClassVar[str] = ""  # the configuration whose examples are lists; "": none

    def __init__(
        self,
        config_name: str | None = None,
        keep_in_memory: bool | None = None,
        num_process: int = 1,
        **settings: Any,
    ) -> None:
        if keep_in_memory is None:  # several processes can meet only through files
            keep_in_memory = num_process == 1
        self.keep_in_memory = keep_in_memory
        super().__init__(
            config_name, keep_in_memory=keep_in_memory, num_process=num_process, **settings
        )

    def _build_data_dir(self) -> str:
        """evaluate makes this folder even where nothing is ever written to it."""
        return "" if self.keep_in_memory else str(super()._build_data_dir())

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=self.score,
            citation="",
            inputs_description=f"{self.score}\nKeyword arguments: see {self.source}",
            features=datasets.Features(self._inputs()),
            reference_urls=[self.source],
        )

    def _inputs(self) -> Mapping[str, Any]:
        value = datasets.Value(self.dtype)
        if self.list_config and self.config_name == self.list_config:
            value = datasets.Sequence(value)
        return {"predictions": value, "references": value}


class Accuracy(Shell):
    score = "Accuracy: the share of examples whose label is right, 0 to 1."
    source = SKLEARN.format("accuracy_score")
    list_config = "multilabel"

    def _compute(
        self,
        predictions: Any,
        references: Any,
        normalize: bool = True,
        sample_weight: Any = None,
    ) -> dict[str, Any]:
        from sklearn.metrics import accuracy_score

        share = accuracy_score(
            references, predictions, normalize=normalize, sample_weight=sample_weight
        )
        return {"accuracy": float(share)}


class F1(Shell):
    score = "F1: the harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN), 0 to 1."
    source = SKLEARN.format("f1_score")
    list_config = "multilabel"

    def _compute(
        self,
        predictions: Any,
        references: Any,
        labels: Any = None,
        pos_label: int = 1,
        average: str | None = "binary",
        sample_weight: Any = None,
    ) -> dict[str, Any]:
        from sklearn.metrics import f1_score

        found = f1_score(
            references,
            predictions,
            labels=labels,
            pos_label=pos_label,
            average=average,
            sample_weight=sample_weight,
        )
        return {"f1": _number_or_array(found)}


class Precision(Shell):
    score = "Precision: the share of predicted positives that are right, TP / (TP + FP), 0 to 1."
    source = SKLEARN.format("precision_score")
    list_config = "multilabel"

    def _compute(
        self,
        predictions: Any,
        references: Any,
        labels: Any = None,
        pos_label: int = 1,
        average: str | None = "binary",
        sample_weight: Any = None,
        zero_division: Any = "warn",
    ) -> dict[str, Any]:
        from sklearn.metrics import precision_score

        found = precision_score(
            references,
            predictions,
            labels=labels,
            pos_label=pos_label,
            average=average,
            sample_weight=sample_weight,
            zero_division=zero_division,
        )
        return {"precision": _number_or_array(found)}


class Recall(Shell):
    score = "Recall: the share of positives that are found, TP / (TP + FN), 0 to 1."
    source = SKLEARN.format("recall_score")
    list_config = "multilabel"

    def _compute(
        self,
        predictions: Any,
        references: Any,
        labels: Any = None,
        pos_label: int = 1,
        average: str | None = "binary",
        sample_weight: Any = None,
        zero_division: Any = "warn",
    ) -> dict[str, Any]:
        from sklearn.metrics import recall_score

        found = recall_score(
            references,
            predictions,
            labels=labels,
            pos_label=pos_label,
            average=average,
            sample_weight=sample_weight,
            zero_division=zero_division,
        )
        return {"recall": _number_or_array(found)}


class MatthewsCorrelation(Shell):
    score = "Matthews correlation: agreement corrected for chance, -1 to 1."
    source = SKLEARN.format("matthews_corrcoef")
    list_config = "multilabel"

    def _compute(
        self,
        predictions: Any,
        references: Any,
        sample_weight: Any = None,
        average: str | None = None,
    ) -> dict[str, Any]:
        import numpy as np
        from sklearn.metrics import matthews_corrcoef

        if self.config_name != self.list_config:
            found = matthews_corrcoef(references, predictions, sample_weight=sample_weight)
            return {"matthews_correlation": float(found)}
        if average not in (None, "macro"):
            raise ValueError(f"average is None or 'macro', not {average!r}")
        columns = zip(np.transpose(references), np.transpose(predictions), strict=True)
        each = np.array([matthews_corrcoef(*pair, sample_weight=sample_weight) for pair in columns])
        return {"matthews_correlation": float(each.mean()) if average else each}


class RocAuc(Shell):
    score = "Area under the ROC curve: the chance that a positive scores above a negative, 0 to 1."
    source = SKLEARN.format("roc_auc_score")

    def _inputs(self) -> Mapping[str, Any]:
        label, score = datasets.Value("int32"), datasets.Value("float")
        if self.config_name == "multilabel":
            label = datasets.Sequence(label)
        if self.config_name in ("multiclass", "multilabel"):
            score = datasets.Sequence(score)
        return {"prediction_scores": score, "references": label}

    def _compute(
        self,
        references: Any,
        prediction_scores: Any,
        average: str | None = "macro",
        sample_weight: Any = None,
        max_fpr: float | None = None,
        multi_class: str = "raise",
        labels: Any = None,
    ) -> dict[str, Any]:
        from sklearn.metrics import roc_auc_score

        found = roc_auc_score(
            references,
            prediction_scores,
            average=average,
            sample_weight=sample_weight,
            max_fpr=max_fpr,
            multi_class=multi_class,
            labels=labels,
        )
        return {"roc_auc": _number_or_array(found)}


class ConfusionMatrix(Shell):
    score = "Confusion matrix: how many examples of class i (row) were given class j (column)."
    source = SKLEARN.format("confusion_matrix")
    list_config = "multilabel"

    def _compute(
        self,
        predictions: Any,
        references: Any,
        labels: Any = None,
        sample_weight: Any = None,
        normalize: str | None = None,
    ) -> dict[str, Any]:
        from sklearn.metrics import confusion_matrix

        matrix = confusion_matrix(
            references,
            predictions,
            labels=labels,
            sample_weight=sample_weight,
            normalize=normalize,
        )
        return {"confusion_matrix": matrix}


class Pearsonr(Shell):
    score = "Pearson correlation: how close to a line predictions and references lie, -1 to 1."
    source = SCIPY.format("pearsonr")
    dtype = "float32"

    def _compute(
        self, predictions: Any, references: Any, return_pvalue: bool = False
    ) -> dict[str, Any]:
        from scipy.stats import pearsonr

        found = pearsonr(references, predictions)
        p_value = {"p-value": float(found[1])} if return_pvalue else {}
        return {"pearsonr": float(found[0]), **p_value}


class Spearmanr(Shell):
    score = "Spearman correlation: how alike predictions and references are ordered, -1 to 1."
    source = SCIPY.format("spearmanr")
    dtype = "float32"

    def _compute(
        self, predictions: Any, references: Any, return_pvalue: bool = False
    ) -> dict[str, Any]:
        from scipy.stats import spearmanr

        found = spearmanr(references, predictions)
        p_value = {"spearmanr_pvalue": float(found[1])} if return_pvalue else {}
        return {"spearmanr": float(found[0]), **p_value}


class Mse(Shell):
    score = "Mean squared error: the mean of (reference - prediction)²; its root: squared=False."
    source = SKLEARN.format("mean_squared_error")
    dtype = "float32"
    list_config = "multilist"

    def _compute(
        self,
        predictions: Any,
        references: Any,
        sample_weight: Any = None,
        multioutput: Any = "uniform_average",
        squared: bool = True,
    ) -> dict[str, Any]:
        from sklearn.metrics import mean_squared_error, root_mean_squared_error

        error = mean_squared_error if squared else root_mean_squared_error
        found = error(references, predictions, sample_weight=sample_weight, multioutput=multioutput)
        return {"mse": _number_or_array(found)}


class Mae(Shell):
    score = "Mean absolute error: the mean of |reference - prediction|."
    source = SKLEARN.format("mean_absolute_error")
    dtype = "float32"
    list_config = "multilist"

    def _compute(
        self,
        predictions: Any,
        references: Any,
        sample_weight: Any = None,
        multioutput: Any = "uniform_average",
    ) -> dict[str, Any]:
        from sklearn.metrics import mean_absolute_error

        found = mean_absolute_error(
            references, predictions, sample_weight=sample_weight, multioutput=multioutput
        )
        return {"mae": _number_or_array(found)}


SHELLS: dict[str, type[Shell]] = {
    "accuracy": Accuracy,
    "confusion_matrix": ConfusionMatrix,
    "f1": F1,
    "mae": Mae,
    "matthews_correlation": MatthewsCorrelation,
    "mse": Mse,
    "pearsonr": Pearsonr,
    "precision": Precision,
    "recall": Recall,
    "roc_auc": RocAuc,
    "spearmanr": Spearmanr,
}

ELSEWHERE = {
    "chrf": "hfkit.metrics.text_shells:Chrf",
    "exact_match": "hfkit.metrics.text_shells:ExactMatch",
    "rouge": "hfkit.metrics.text_shells:Rouge",
    "sacrebleu": "hfkit.metrics.text_shells:Sacrebleu",
    "seqeval": "hfkit.metrics.span_shells:Seqeval",
    "squad": "hfkit.metrics.squad_shells:Squad",
    "squad_v2": "hfkit.metrics.squad_shells:SquadV2",
    "ter": "hfkit.metrics.text_shells:Ter",
}  # in files of their own, imported when named


def load(name: str, config_name: str | None = None, **settings: Any) -> Shell:
    """Return the shell of that name, as `evaluate.load` would, without looking anywhere else.

    Raises `InputError` for a name that has no shell.
    """
    if name in ELSEWHERE:
        found: Shell = load_object(ELSEWHERE[name])(config_name, **settings)
        return found
    if name not in SHELLS:
        names = [*SHELLS, *ELSEWHERE]
        raise InputError(f"no built-in metric '{name}'", hint=did_you_mean(name, names))
    return SHELLS[name](config_name, **settings)


def _number_or_array(found: Any) -> Any:
    """One number as a Python float; several as the array they come in."""
    return float(found) if getattr(found, "size", 1) == 1 else found
