"""From an opened run to a predictor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hfkit.config import EvaluateConfig, PredictConfig
    from hfkit.infer.endpoint import EndpointPredictor
    from hfkit.infer.predictor import Predictor
    from hfkit.run.opening import Opened


def make_predictor(
    opened: Opened, config: EvaluateConfig | PredictConfig
) -> Predictor | EndpointPredictor:
    """Load the model and put it behind an engine, or a server in its place. Raises what
    `load_for_prediction` does."""
    from hfkit.infer.endpoint import AT_ONCE, EndpointPredictor
    from hfkit.infer.predictor import Predictor
    from hfkit.run.engines import open_engine

    if opened.endpoint is not None or opened.tokenizer is None:
        return EndpointPredictor(
            opened.task,
            opened.name,
            opened.endpoint or "",
            offline=config.offline,
            at_once=config.batch_size or AT_ONCE,
        )
    task = opened.task
    engine = open_engine(
        opened.folder, task.auto_class, task.head(), config, config.device, name=opened.name
    )
    return Predictor(opened.task, opened.tokenizer, engine, config.batch_size, config.batch_tokens)
