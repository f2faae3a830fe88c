"""From an opened run to a predictor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hfkit.errors import InputError
from hfkit.train import launch

if TYPE_CHECKING:
    from hfkit.config import EvaluateConfig, PredictConfig
    from hfkit.infer.endpoint import EndpointPredictor
    from hfkit.infer.engine import Engine
    from hfkit.infer.predictor import Predictor
    from hfkit.run.opening import Opened


def make_predictor(
    opened: Opened, config: EvaluateConfig | PredictConfig
) -> Predictor | EndpointPredictor:
    """Load the model and put it behind an engine, or a server in its place. Raises what
    `load_for_prediction` does."""
    from hfkit.infer.predictor import Predictor
    from hfkit.run.engines import Wanted, open_engine

    if opened.endpoint is not None or opened.tokenizer is None:
        from hfkit.infer.endpoint import AT_ONCE, EndpointPredictor

        return EndpointPredictor(
            opened.task,
            opened.name,
            opened.endpoint or "",
            offline=config.offline,
            at_once=config.batch_size or AT_ONCE,
        )
    task = opened.task
    if launch.inside():
        raise InputError(
            "several processes would each write all rows",
            hint="start one, with --num-processes N",
        )
    folder, device = opened.folder, config.device
    wanted = Wanted(folder, task.auto_class, task.head(), device, opened.name, code=opened.code)
    engine: Engine
    if config.num_processes > 1:
        from hfkit.run.processes import Workers

        engine = Workers(config.num_processes, wanted, config)
    else:
        engine = open_engine(wanted, config)
    return Predictor(opened.task, opened.tokenizer, engine, config.batch_size, config.batch_tokens)
