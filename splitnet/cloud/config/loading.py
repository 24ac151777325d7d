"""From a file and the command line to one configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from splitnet.cloud.config.schema import ServeConfig
from splitnet.config.reading import read_toml
from splitnet.errors import UsageError


def read_config(path: Path) -> ServeConfig:
    """Raises ConfigError, which names file, line and key."""
    return read_toml(path).validate(ServeConfig)


def with_options(config: ServeConfig, options: Mapping[str, object]) -> ServeConfig:
    """The configuration with what the command line says instead: dotted key -> value, where None says nothing.

    Raises
    ------
    UsageError
        if the options do not go together.
    """
    values = config.model_dump(exclude_unset=True)
    for key, value in options.items():
        if value is None:
            continue
        *tables, name = key.split(".")
        place = values
        for table in tables:
            found = place.get(table)
            place[table] = dict(found) if isinstance(found, Mapping) else {}
            place = place[table]
        place[name] = value.model_dump() if isinstance(value, BaseModel) else value
    try:
        return ServeConfig.model_validate(values)
    except ValidationError as error:
        problems = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
        raise UsageError("; ".join(problems)) from error
