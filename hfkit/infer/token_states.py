"""Tokens in, vectors out: what an encoder makes of each, for those who fit a head of their own.

It is a `Predictor` whose model has no head: what it computes of a row are the hidden states of its
tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from hfkit.infer.predictor import Predictor


class TokenStates(Predictor):
    """Computes ``last_hidden_state`` of encoded rows, ``[tokens, D]``."""

    @property
    def token_outputs(self) -> Sequence[str]:
        """The states are those of tokens."""
        return ("last_hidden_state",)
