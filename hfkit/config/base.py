"""What every section of the settings is made of."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def setting(
    default: Any,
    help: str,
    *,
    flags: tuple[str, ...] = (),
    changes_result: bool = False,
    saved: bool = True,
    training_only: bool = False,
    **limits: Any,
) -> Any:
    """Declare a setting. `flags` are spellings beside ``--name-of-field`` (short ones too);
    `changes_result`: two runs that differ in it are different runs; `saved`: kept in hfkit.yaml;
    `training_only`: no flag of the commands that use a model."""
    extra: dict[str, Any] = {
        "flags": list(flags),
        "changes_result": changes_result,
        "saved": saved,
        "training_only": training_only,
    }
    return Field(default, description=help, json_schema_extra=extra, **limits)


class Section(BaseModel):
    """The manners all sections share: unknown keys are errors, numbers are welcome as text."""

    model_config = ConfigDict(
        extra="forbid",
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
        frozen=True,
        defer_build=True,  # validators are built when first used: half of the start-up time
        protected_namespaces=(),
    )
