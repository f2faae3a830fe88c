"""Scoring needs NumPy alone; what is heavier is loaded by those who ask for it."""

import subprocess
import sys

import pytest

HEAVY = ["datasets", "evaluate", "pandas", "scipy", "sklearn", "torch", "transformers"]
MODULES = ["classification", "correlation", "statistics", "user"]


@pytest.mark.parametrize("module", MODULES)
def test_importing_a_metric_is_light(module):
    code = f"import sys, hfkit.metrics.{module}; print(*(set(sys.modules) & set({HEAVY})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
