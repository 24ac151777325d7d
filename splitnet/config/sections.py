"""What tables of configuration files share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from splitnet.errors import UsageError
from splitnet.wire.channels import parse_address


def _address(value: str) -> str:
    try:
        return parse_address(value, what="the address")
    except UsageError as error:
        raise ValueError(str(error)) from error


Address = Annotated[str, AfterValidator(_address)]
"""HOST:PORT."""


class Section(BaseModel):
    """A table of the file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Logging(Section):
    """`auto` is coloured for a terminal and JSON lines otherwise."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class Tracing(Section):
    """Where OpenTelemetry traces go: the URL of an OTLP collector."""

    endpoint: str = Field(pattern=r"^https?://")
