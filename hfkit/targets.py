"""What of a batch is for the loss, and the label of what has none."""

from __future__ import annotations

IGNORED = -100
"""Stands for "no label here": padding, word pieces after the first, unknown. No loss counts it."""

TARGETS = frozenset(
    {
        *("labels", "loss_weight", "start_positions", "end_positions", "next_sentence_label"),
        *("example", "side", "share", "text_key"),  # where a text stands among those of the step
    }
)
"""Keys of a batch that no model reads; a head given `labels` would compute a loss of its own."""
