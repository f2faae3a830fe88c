"""Log-probabilities of texts under a model that a server has.

    POST URL/v1/completions    the text as the prompt, echoed with the log-probability of each token

Servers that hide log-probabilities (most that are sold) refuse, and the rows say so. What a token
is, is the server's affair: the first one has no probability where the model has none before it.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any, ClassVar

from hfkit.infer.likelihood import TEXT, told
from hfkit.infer.server import COMPLETIONS, RefusedError, ServerPredictor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hfkit.tasks.base import Answer, LabelKind, Row


class EndpointScorer(ServerPredictor):
    """Adds up what the server says of each token."""

    path: ClassVar[str] = COMPLETIONS
    columns: ClassVar[Mapping[str, str]] = TEXT
    label_kind: ClassVar[LabelKind] = "none"
    known: ClassVar[Mapping[str, str | list[str]]] = {}

    def answered(self, row: Row) -> Answer | str:
        """The log-probability of a text, its mean over the tokens, and the perplexity."""
        # One token has to be written; it is not counted.
        asked = {"prompt": row["text"], "max_tokens": 1, "echo": True, "logprobs": 1}
        likely = _of_prompt(self.ask({**asked, "temperature": 0}), len(row["text"]))
        if not likely:
            return "no token that could be scored"
        return told(sum(likely), len(likely))


def _of_prompt(reply: Any, length: int) -> list[float]:
    """The log-probabilities of the tokens that begin within the first `length` characters.

    Raises `RefusedError` where the reply has none.
    """
    try:
        found = reply["choices"][0]["logprobs"]
        pairs = zip(found["text_offset"], found["token_logprobs"], strict=True)
        inside = takewhile(lambda pair: int(pair[0]) < length, pairs)
        return [float(value) for _, value in inside if value is not None]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise RefusedError("the reply holds no log-probabilities of the text") from error
