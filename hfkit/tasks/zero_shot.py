"""Give a text labels that no model was trained for: the user names them.

    in    {"text": "The goalkeeper saved two penalties."}        --labels "sports,world politics"
    out   {"label": "sports", "score": 0.98}                     one label
          {"labels": ["sports"], "scores": {...}}                any number, with --multi-label

A model of natural language inference (NLI) reads the text beside a sentence made of each label
("This example is sports.") and says how far the one entails the other (Yin et al., EMNLP 2019):

    one label   softmax, over the labels, of the logit of entailment
    several     for each label softmax of entailment and contradiction (or of "not entailment")

An embedding model compares vectors: p = softmax of 20 times the cosine of text and label, 20 being
what such models are trained with. Of several labels each with more than an equal share fits: of n
labels the score is np / (np + 1).

The detail that people get wrong is which logit is which. MNLI models come in at least three orders
of their labels; taking the last for entailment turns answers round. Here it is found by name, and
where names say nothing the user has to. The other one: only the text is cut into windows, so that
the sentence of the label is in each of them; the logits (vectors) of the windows are averaged.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hfkit.choices import as_labels, check_labels, find_entailment, named_labels, stored_labels
from hfkit.errors import InputError, RowError, did_you_mean
from hfkit.registry import TASKS
from hfkit.tasks.base import Answer, EncodedRow, Outputs, Row, Task
from hfkit.tasks.options import ZeroShotOptions
from hfkit.temperature import softmax, tempered, tempered_each

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hfkit.text import Tokenizer

log = logging.getLogger(__name__)

CLASSIFIER = "AutoModelForSequenceClassification"
EMBEDDER = "hfkit.model.heads:Embedder"
TEMPLATES = {CLASSIFIER: "This example is {}.", EMBEDDER: "{}"}
SCALE = 20.0
NOT_TRAINED = "zero-shot is not trained"
TRAIN_NLI = "fine-tune a model on pairs with -t nli; it then takes any labels with -t zero-shot"


class ZeroShot(Task[ZeroShotOptions]):
    """Labels that the model was not trained for, named by you."""

    Options = ZeroShotOptions

    def __init__(self, options: ZeroShotOptions) -> None:
        super().__init__(options)
        self.described = named_labels(options.labels, options.labels_file, options.multi_label)
        self.labels = list(self.described)
        self._kind = CLASSIFIER
        self._entailment = 0  # number of the logit of entailment
        self._opposite: int | None = None  # of contradiction or "not entailment"
        self._checked: set[str] = set()
        if options.template is not None and "{}" not in options.template:
            raise InputError("no {} for the label", place="--template")

    @property
    def columns(self) -> Mapping[str, str]:  # type: ignore[override]
        """Rows have to bring their labels where none are named for all of them."""
        roles = dict(TASKS["zero-shot"].columns)
        if not self.labels:
            roles["candidates"] = roles.pop("candidates?")
        return roles

    @property
    def auto_class(self) -> str:
        """As the model is: an NLI classifier, or any encoder for its vectors."""
        return self._kind

    @property
    def template(self) -> str:
        """The sentence that a label is put into."""
        return TEMPLATES[self._kind] if self.options.template is None else self.options.template

    @property
    def metric(self) -> str:
        """As in classification."""
        return "multi-label" if self.options.multi_label else "single-label"

    @property
    def best(self) -> str:
        """Never asked for: nothing is trained."""
        return "f1_micro" if self.options.multi_label else "accuracy"

    @property
    def loss(self) -> str:
        """There is none."""
        raise InputError(NOT_TRAINED, hint=TRAIN_NLI)

    def learn(self, rows: Sequence[Row]) -> None:
        """Raise `InputError`: there is nothing to learn."""
        raise InputError(NOT_TRAINED, hint=TRAIN_NLI)

    def targets(self, rows: Sequence[Row], encoded: Sequence[EncodedRow]) -> None:
        """Raise `InputError`, as `learn` does."""
        raise InputError(NOT_TRAINED, hint=TRAIN_NLI)

    def head(self) -> dict[str, Any]:
        """The model keeps the head it has."""
        return {}

    def restore(self, model_config: Mapping[str, Any]) -> None:
        """See from config.json what kind of model it is, and which of its labels is entailment."""
        architecture = str((model_config.get("architectures") or [""])[0])
        if not architecture.endswith("ForSequenceClassification"):
            self._kind = EMBEDDER
            log.info("by the likeness of vectors, as the model is no classifier of NLI")
            if self.options.multi_label and len(self.labels) == 1:
                raise InputError("vectors only compare labels: name two or more", place="--labels")
            return
        stored = stored_labels(model_config)
        self._entailment, self._opposite = find_entailment(stored, self.options.entailment_label)
        if self.options.multi_label and self._opposite is None:
            log.info("no label named contradiction; scores are entailment's share of all labels")

    def candidates(self, row: Row, number: int = 0) -> list[str]:
        """The labels to choose from for a row: its own, else those of all. Raises `RowError`."""
        own = row.get("candidates")
        if own is None:
            if not self.labels:
                raise RowError("no labels to choose from", row=number, hint="name them: --labels")
            return self.labels
        try:
            names = as_labels(own)
            check_labels(names, several=self.options.multi_label)
        except InputError as error:
            raise RowError(f"candidates: {error.message}", row=number, hint=error.hint) from error
        return names

    def features(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """NLI: each text with the sentence of each of its labels (``_label``: the number among
        them). Embedding: each text, then each distinct sentence once (``_sentence``)."""
        choices = [self.candidates(row, number) for number, row in enumerate(rows)]
        self._check_lengths(choices, tokenizer)
        encode = partial(tokenizer.encode, on_long=self.options.on_long, stride=self.options.stride)
        if self._kind == CLASSIFIER:
            pairs = [
                (row, place) for row, names in enumerate(choices) for place in range(len(names))
            ]
            sentences = [self._sentence(choices[row][place]) for row, place in pairs]
            found = encode([rows[row]["text"] for row, _ in pairs], sentences)
            return [
                {**part, "_row": row, "_label": place}
                for (row, place), parts in zip(pairs, found, strict=True)
                for part in parts
            ]
        asked = {self._sentence(name): row for row, names in enumerate(choices) for name in names}
        labels = zip(asked.items(), tokenizer.encode(list(asked)), strict=True)
        return [
            {**part, "_row": row, "_sentence": None}
            for row, parts in enumerate(encode([row["text"] for row in rows]))
            for part in parts
        ] + [{**part, "_row": row, "_sentence": name} for (name, row), (part,) in labels]

    def _sentence(self, label: str) -> str:
        return self.template.replace("{}", self.described.get(label, label))

    def _check_lengths(self, choices: Iterable[Sequence[str]], tokenizer: Tokenizer) -> None:
        """A label's sentence takes at most half a window: then the text is the longer side of any
        pair that is too long, and the side that is cut. Raises `RowError`."""
        first = {name: row for row, names in enumerate(choices) for name in names}
        new = [name for name in first if name not in self._checked]
        parts = tokenizer.encode([self._sentence(name) for name in new]) if new else []
        for name, (part,) in zip(new, parts, strict=True):
            length = len(part["input_ids"])
            if 2 * length > tokenizer.max_length:
                raise RowError(
                    f'the label "{name:.40}" in its sentence has {length} tokens, more than half a '
                    f"window of {tokenizer.max_length}",
                    row=first[name],
                    hint="shorten it, or raise --max-length",
                )
        self._checked.update(new)

    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """Score the labels of each text; name the best one, or all from the threshold on."""
        choices = [self.candidates(row, number) for number, row in enumerate(rows)]
        score = self._entailed if self._kind == CLASSIFIER else self._compared
        found = score(outputs, encoded, choices)
        answers = [self.answer(names, raw) for names, raw in zip(choices, found, strict=True)]
        for part in encoded:
            if part.get("_truncated"):
                answers[part["_row"]]["truncated"] = True
        return answers

    def _entailed(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], choices: list[list[str]]
    ) -> list[NDArray[Any]]:
        """Scores from the logits of (text, sentence) pairs."""
        import numpy as np

        from hfkit.vectors import joined

        ends = np.cumsum([len(names) for names in choices])
        starts = ends - [len(names) for names in choices]
        owner = np.array([starts[part["_row"]] + part["_label"] for part in encoded])
        tokens = np.array([len(part["input_ids"]) for part in encoded], dtype=np.float64)
        logits = np.stack([output["logits"] for output in outputs])
        pooled = joined(logits, owner, tokens, int(ends[-1]))
        if not self.options.multi_label:
            entailment = pooled[:, self._entailment]
            return [softmax(entailment[a:b]) for a, b in zip(starts, ends, strict=True)]
        if self._opposite is not None:
            pooled = pooled[:, [self._entailment, self._opposite]]
        place = 0 if self._opposite is not None else self._entailment
        scores = softmax(pooled)[:, place]
        return [scores[a:b] for a, b in zip(starts, ends, strict=True)]

    def _compared(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], choices: list[list[str]]
    ) -> list[NDArray[Any]]:
        """Scores from the vectors of texts and sentences."""
        import numpy as np

        from hfkit.vectors import joined, normalized

        vectors = np.stack([output["embeddings"] for output in outputs])
        numbers: dict[str, int] = {}
        owner = []
        for part in encoded:  # texts have the first numbers, sentences those behind them
            name = part["_sentence"]
            number = None if name is None else numbers.setdefault(name, len(numbers))
            owner.append(part["_row"] if number is None else len(choices) + number)
        tokens = np.array([len(part["input_ids"]) for part in encoded], dtype=np.float64)
        of_each = normalized(joined(vectors, np.array(owner), tokens, len(choices) + len(numbers)))
        texts, sentences = of_each[: len(choices)], of_each[len(choices) :]
        found = []
        for text, names in zip(texts, choices, strict=True):
            asked = sentences[[numbers[self._sentence(name)] for name in names]]
            shares = softmax(SCALE * (asked @ text))
            many = len(names) * shares
            found.append(many / (many + 1) if self.options.multi_label else shares)
        return found

    def answer(self, names: Sequence[str], raw: NDArray[Any]) -> Answer:
        """The answer that these scores of these labels come to."""
        change = tempered_each if self.options.multi_label else tempered
        scores = change(raw, self.decisions.get("temperature", 1.0))
        named = dict(zip(names, scores.tolist(), strict=True))
        if self.options.multi_label:
            own, usual = self.decisions.get("thresholds", {}), self.options.threshold
            chosen = [name for name in names if named[name] >= own.get(name, usual)]
            return {"labels": chosen, "scores": named}
        best = names[int(raw.argmax())]
        return {"label": best, "score": named[best], "scores": named}

    def brief(self, answer: Answer) -> Answer:
        """Leave out the scores of the labels that were not chosen."""
        if "labels" in answer and "scores" in answer:
            chosen = {label: answer["scores"][label] for label in answer["labels"]}
            return {**answer, "scores": chosen}
        return {key: value for key, value in answer.items() if key != "scores"}

    def gold(self, rows: Sequence[Row]) -> list[Answer]:
        """The label column as answers; raises `RowError` for one that is no candidate of its row.

        Labels that only rows name are added to `labels`, for the metric.
        """
        answers: list[Answer] = []
        known = dict.fromkeys(self.labels)
        for number, row in enumerate(rows):
            names = self.candidates(row, number)
            known.update(dict.fromkeys(names))
            cell = row["label"]
            right = list(cell) if isinstance(cell, list) else [str(cell)]
            for name in right:
                if name not in names:
                    raise RowError(
                        f'label "{name}" is not among the labels to choose from',
                        row=number,
                        hint=did_you_mean(name, names[:20]),
                    )
            if not self.options.multi_label and len(right) != 1:
                hint = "use --multi-label"
                raise RowError(f"{len(right)} labels; one is given", row=number, hint=hint)
            several = self.options.multi_label
            answers.append({"labels": sorted(right)} if several else {"label": right[0]})
        if not self.labels:
            self.labels = list(known)
        return answers
