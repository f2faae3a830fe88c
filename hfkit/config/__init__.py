"""Every setting of hfkit, declared once: flags, recipe keys, Python arguments and hfkit.yaml.

A setting is a field of one of the sections in this package: its type, default, help text, flag
spellings. The sections are flat data, combined by inheritance into one class per command, so that a
function that reads files can ask for a `Reading` and be given the whole configuration. Layers,
weakest first: defaults < recipe < environment (``HFKIT_LR``) < flags or Python arguments.

YAML scalars are read as the text the user typed and become numbers, booleans or text by the type
of the setting: ``lr: 3e-5`` is a number, ``label_column: no`` stays the word "no".
"""

from __future__ import annotations

from hfkit.config.base import Section, setting
from hfkit.config.check import CheckConfig
from hfkit.config.commands import (
    BenchConfig,
    ConvertConfig,
    DataFormat,
    EvaluateConfig,
    ExportConfig,
    FinetuneConfig,
    Int8Method,
    Knowledge,
    OutputFormat,
    PredictConfig,
    VerifyConfig,
)
from hfkit.config.comparing import Baselines, CompareConfig, Gate, Seeds
from hfkit.config.confidence import CalibrateConfig
from hfkit.config.explain import ExplainConfig, Inquiry
from hfkit.config.language import (
    LanguageModelKind,
    ScoreConfig,
    TokenizerConfig,
    TokenizerFamily,
    TokenizerKind,
)
from hfkit.config.machine import (
    Arithmetic,
    Computing,
    Device,
    Engine,
    Exportable,
    Hardware,
    Kernels,
    Machine,
    Processes,
    Trust,
)
from hfkit.config.models import EstimateConfig, PushConfig, Shape
from hfkit.config.reading import Columns, InputFormat, Reading, Strictness
from hfkit.config.report import AuditConfig, ReportConfig
from hfkit.config.serving import Limits, ServeConfig
from hfkit.config.training import (
    FromScratch,
    ModelSize,
    Optimizer,
    Precision,
    Schedule,
    TaskSettings,
    Training,
)
from hfkit.config.vectors import EmbedConfig, SearchConfig, Vectors

__all__ = [
    "Arithmetic", "AuditConfig", "Baselines", "BenchConfig", "CalibrateConfig", "CheckConfig",
    "Columns", "CompareConfig", "Computing", "ConvertConfig", "DataFormat", "Device", "EmbedConfig",
    "Engine", "EstimateConfig", "EvaluateConfig", "ExplainConfig", "ExportConfig", "Exportable",
    "FinetuneConfig", "FromScratch", "Gate", "Hardware", "InputFormat", "Inquiry", "Int8Method",
    "Kernels", "Knowledge", "LanguageModelKind", "Limits", "Machine", "ModelSize", "Optimizer",
    "OutputFormat", "Precision", "PredictConfig", "Processes", "PushConfig", "Reading",
    "ReportConfig", "Schedule", "ScoreConfig", "SearchConfig", "Section", "Seeds", "ServeConfig",
    "Shape", "Strictness", "TaskSettings", "TokenizerConfig", "TokenizerFamily", "TokenizerKind",
    "Training", "Trust", "Vectors", "VerifyConfig", "setting",
]  # fmt: skip
