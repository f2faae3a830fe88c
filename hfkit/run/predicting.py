"""From an opened run to a predictor: load the weights onto a device."""

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
    from hfkit.infer.torch_engine import TorchEngine, bound_caches, choose_device
    from hfkit.model.load import load_for_prediction

    if opened.endpoint is not None or opened.tokenizer is None:
        return EndpointPredictor(
            opened.task,
            opened.name,
            opened.endpoint or "",
            offline=config.offline,
            at_once=config.batch_size or AT_ONCE,
        )
    bound_caches()
    device = choose_device(config.device)
    task = opened.task
    model = load_for_prediction(opened.folder, task.auto_class, task.head(), name=opened.name)
    engine = TorchEngine(model, device)
    return Predictor(opened.task, opened.tokenizer, engine, config.batch_size, config.batch_tokens)
