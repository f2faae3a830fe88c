"""The settings of `hfkit explain`."""

from __future__ import annotations

from typing import Literal

from hfkit.config.base import Section, setting
from hfkit.config.machine import Computing, Machine, Trust
from hfkit.config.training import TaskSettings

Method = Literal["auto", "gradients", "occlusion"]
EXPLAINED = ("classification", "ner", "qa", "similarity")  # tasks


class Inquiry(Section):
    """What is asked, and what of the answer is explained."""

    text_pair: str | None = setting(None, "The second text of a pair")
    question: str | None = setting(None, "Question answering: the question, beside --context")
    context: str | None = setting(None, "Question answering: the text that holds the answer")
    label: str | None = setting(
        None, "Explain this label instead of the chosen one; of entities, those of this type"
    )


class ExplainConfig(Machine, Trust, TaskSettings, Computing, Inquiry):
    """Settings of `hfkit explain`."""

    model: str | None = setting(
        None, "A run or a model with a trained head", flags=("-m", "--model-name-or-path")
    )
    text: str | None = setting(None, "The text")
    output: str | None = setting(None, "Also write a page (HTML) to this file", flags=("-o",))
    method: Method = setting(
        "auto", "gradients: integrated, needs torch and captum; occlusion: each word masked in turn"
    )
    attention: bool = setting(False, "Also show what each head of each layer looks at")
    overwrite: bool = setting(False, "Replace the output file")
    json_output: bool = setting(False, "Print the result as JSON", flags=("--json",))
