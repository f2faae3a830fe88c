"""What families of models have in common, by the ``model_type`` of their configuration."""

from __future__ import annotations

# They count distances between tokens, not positions: a text may be of any length. The number that
# their configurations and tokenizers state is that of their training.
RELATIVE = frozenset({"longt5", "mt5", "switch_transformers", "t5", "umt5"})
