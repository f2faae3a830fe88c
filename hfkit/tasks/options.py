"""The options of the built-in tasks. Light on purpose: the command line makes flags of them."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import field_validator

from hfkit.config import Section, setting

# "en", "zh-Hant", "pt_BR"; a word such as "english" would be scored by no language's rules.
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


def _label_smoothing() -> Any:
    return setting(
        0.0, "Share of the target spread over all classes",
        changes_result=True, training_only=True, ge=0, lt=1,
    )  # fmt: skip


class NoOptions(Section):
    """A task without options."""


class LongTexts(Section):
    """Options of tasks that read long texts."""

    on_long: Literal["window", "truncate", "error"] = setting(
        "window", "Texts longer than max_length: read in windows, cut, or stop", changes_result=True
    )
    stride: int | None = setting(
        None,
        "Tokens that neighbouring windows share; default: a quarter window",
        changes_result=True,
        ge=0,
    )


class ClassificationOptions(LongTexts):
    """Options of `classification`."""

    problem: Literal["auto", "single-label", "multi-label", "regression"] = setting(
        "auto", "Kind of answer; auto goes by the label column", changes_result=True
    )
    class_weights: Literal["none", "balanced"] = setting(
        "none", "balanced: rare classes weigh more, by 1/frequency",
        changes_result=True, training_only=True,
    )  # fmt: skip
    label_smoothing: float = _label_smoothing()
    threshold: float = setting(
        0.5, "Multi-label: score from which a label is given", changes_result=True, gt=0, lt=1
    )


class NerOptions(LongTexts):
    """Options of `ner`."""

    scheme: Literal["auto", "iob1", "iob2", "bioes", "bmes", "bilou"] = setting(
        "auto", "How tags mark entities; auto goes by the training data", changes_result=True
    )
    constrained: bool = setting(
        True, "Give only sequences of tags that are possible", changes_result=True
    )


class QaOptions(LongTexts):
    """Options of `qa`."""

    max_answer_length: int | None = setting(
        None,
        "Longest answer, in tokens; default: 99% of the training answers fit, at least 30",
        changes_result=True,
        ge=1,
        le=512,
    )
    n_best: int = setting(
        20, "Starts and ends looked at in each window", changes_result=True, ge=1, le=100
    )
    top_k: int = setting(1, "Answers given to a question", ge=1, le=100)
    null_threshold: float | None = setting(
        None, "Margin from which there is no answer; default: as fitted on the validation data"
    )
    answer_language: str | None = setting(
        None, "Language that answers are scored in (en, de, zh); default: by their script"
    )

    @field_validator("answer_language")
    @classmethod
    def _is_code(cls, value: str | None) -> str | None:
        if value is not None and not LANGUAGE.fullmatch(value):
            raise ValueError(
                f"expected the code of a language, such as en or zh, got {value[:40]!r}"
            )
        return value


class SimilarityOptions(LongTexts):
    """Options of `similarity`."""

    architecture: Literal["bi-encoder", "cross-encoder"] = setting(
        "bi-encoder",
        "bi-encoder: one vector per text; cross-encoder: both texts read together",
        changes_result=True,
    )
    similarity_loss: Literal["auto", "cosent", "contrastive", "multiple-negatives"] = setting(
        "auto",
        "Loss of a bi-encoder; auto goes by the data",
        changes_result=True,
        training_only=True,
    )
    pooling: Literal["auto", "mean", "cls", "max"] = setting(
        "auto", "From token vectors to one; auto: as the model was trained", changes_result=True
    )
    normalize: bool = setting(True, "Vectors of length 1", changes_result=True)
    dimensions: list[int] = setting(
        [], "Also train the first N numbers of the vectors (Matryoshka), as 256,64",
        changes_result=True,
        training_only=True,
    )  # fmt: skip

    @field_validator("dimensions", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """A flag gives one text with commas."""
        return value.split(",") if isinstance(value, str) else value


class MaskingOptions(Section):
    """Options of masked words."""

    mask_rate: float = setting(
        0.15, "Share of the words that are hidden", changes_result=True, gt=0, lt=1
    )
    whole_words: bool = setting(False, "Hide all pieces of a word together", changes_result=True)


class MlmOptions(MaskingOptions):
    """Options of `mlm`."""

    line_by_line: bool = setting(
        False,
        "Each text is a row of its own; default: a document's are joined up to max_length",
        changes_result=True,
    )
    fills: int = setting(5, "Words proposed for each mask", ge=1, le=1000)


class NspOptions(MaskingOptions):
    """Options of `nsp`."""

    mlm: bool = setting(False, "Learn to find hidden words too, as BERT did", changes_result=True)


def _endpoint() -> Any:
    return setting(None, "URL of an OpenAI-compatible server that answers instead of a model here")


class WritingOptions(Section):
    """Options of tasks that write."""

    beams: int | None = setting(
        None, "Texts followed at once; default: as the model says, else 4 (generation: 1)",
        changes_result=True, ge=1, le=64,
    )  # fmt: skip
    min_new_tokens: int | None = setting(
        None, "Shortest text to write, in tokens", changes_result=True, ge=0
    )
    length_penalty: float | None = setting(
        None, "Above 1 long texts are preferred among the beams, below short ones",
        changes_result=True,
    )  # fmt: skip
    no_repeat_ngram: int | None = setting(
        None, "Runs of so many tokens are not written twice; 0: they may be",
        changes_result=True, ge=0,
    )  # fmt: skip
    sample: bool = setting(
        False, "Draw each token by its probability, without beams", changes_result=True
    )
    sample_temperature: float = setting(
        1.0, "Draw closer to the best tokens below 1, more freely above", changes_result=True, gt=0
    )
    sample_top_k: int | None = setting(
        None, "Draw among the N best tokens only", changes_result=True, ge=1
    )
    sample_top_p: float | None = setting(
        None, "Draw among the best tokens that have this probability together",
        changes_result=True, gt=0, le=1,
    )  # fmt: skip
    sample_seed: int = setting(
        0, "Seed of drawing; a text is answered alike with the same seed", changes_result=True, ge=0
    )
    endpoint: str | None = _endpoint()

    def manner(self) -> dict[str, Any]:
        """What is set of it, in transformers' words; how to draw apart, under ``sample``."""
        found: dict[str, Any] = {
            "num_beams": self.beams,
            "min_new_tokens": self.min_new_tokens,
            "length_penalty": self.length_penalty,
            "no_repeat_ngram_size": self.no_repeat_ngram,
        }
        if self.sample:
            found["sample"] = {
                "temperature": self.sample_temperature,
                "top_k": self.sample_top_k,
                "top_p": self.sample_top_p,
                "seed": self.sample_seed,
            }
        return {name: value for name, value in found.items() if value is not None}


class Text2TextOptions(WritingOptions):
    """Options of `text2text`."""

    purpose: Literal["text", "summarization", "translation"] = setting(
        "text", "What is written: decides on the metric and T5's prefix", changes_result=True
    )
    on_long: Literal["truncate", "error"] = setting(
        "truncate", "Texts longer than max_length: cut and counted, or stop", changes_result=True
    )
    max_target_length: int = setting(
        128, "Longest text to write, in tokens; in training right texts are cut there",
        changes_result=True, ge=1,
    )  # fmt: skip
    source_prefix: str | None = setting(
        None, "Words put before each text; default: T5's own for the purpose", changes_result=True
    )
    source_language: str | None = setting(
        None, "Language of the texts, as the model spells it (en, en_XX, eng_Latn)",
        changes_result=True,
    )  # fmt: skip
    target_language: str | None = setting(
        None, "Language to write in, as the model spells it", changes_result=True
    )
    label_smoothing: float = _label_smoothing()


class GenerationOptions(WritingOptions):
    """Options of `generation`."""

    join: bool = setting(
        False, "Texts are joined, document by document, and cut into rows of max_length",
        changes_result=True,
    )  # fmt: skip
    chat: bool = setting(
        False, "A text is a message of the user's, put into the model's chat template",
        changes_result=True,
    )  # fmt: skip
    on_long: Literal["truncate", "error"] = setting(
        "truncate", "Prompts too long to read: cut at their beginning and counted, or stop",
        changes_result=True,
    )  # fmt: skip
    max_new_tokens: int | None = setting(
        None, "Longest text to write, in tokens; default: 128, at most half of what it reads",
        changes_result=True, ge=1,
    )  # fmt: skip
    stop: list[str] = setting(
        [], "A text ends before these words; \\n is a new line (repeatable)", changes_result=True
    )
    written: bool = setting(
        False, "Evaluation also writes the completions, and scores them", changes_result=True
    )

    @field_validator("stop", mode="after")
    @classmethod
    def _unescape(cls, values: list[str]) -> list[str]:
        """What a shell passes on as two characters."""
        if "" in values:
            raise ValueError("expected some words, got an empty text")
        return [value.replace("\\n", "\n").replace("\\t", "\t") for value in values]


class ZeroShotOptions(LongTexts):
    """Options of `zero-shot`."""

    labels: str | None = setting(
        None, "Labels to choose from, comma-separated", changes_result=True
    )
    labels_file: str | None = setting(
        None,
        "File with a label a line; a comma may be inside, a tab before what describes it",
        changes_result=True,
    )
    template: str | None = setting(
        None,
        "Sentence with {} for the label; default: This example is {}. (an embedding model: {})",
        changes_result=True,
    )
    multi_label: bool = setting(
        False, "Judge each label on its own: any number of them may fit", changes_result=True
    )
    threshold: float = setting(
        0.5, "Multi-label: score from which a label is given", changes_result=True, gt=0, lt=1
    )
    entailment_label: str | None = setting(
        None, "Name of the NLI model's label for entailment", changes_result=True
    )
    endpoint: str | None = _endpoint()
