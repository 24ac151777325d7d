"""From the file to a configuration whose names all mean something."""

from __future__ import annotations

from pathlib import Path

from splitnet.config.reading import Document, read_toml
from splitnet.edge.config.schema import EdgeConfig
from splitnet.errors import ConfigError


def load_config(path: Path) -> EdgeConfig:
    """Read and check the file. Raises ConfigError, which names file, line and key of every problem."""
    document = read_toml(path)
    config = document.validate(EdgeConfig)
    problems = [*_names(document, config), *_places(document, config)]
    if problems:
        raise ConfigError("; ".join(problems))
    return config


def _names(document: Document, config: EdgeConfig) -> list[str]:
    problems = []
    for name, source in config.sources.items():
        if source.sink not in config.sinks:
            problems.append(_unknown(document, ("sources", name, "sink"), source.sink, "sink", config.sinks))
        if source.model and source.model not in config.models:
            problems.append(_unknown(document, ("sources", name, "model"), source.model, "model", config.models))
        if not source.model and len(config.models) > 1:
            problems.append(document.at(("sources", name), f"say which model: {', '.join(config.models)}"))
    return problems


def _places(document: Document, config: EdgeConfig) -> list[str]:
    """Things of which there can be one only."""
    problems = []
    lines = [name for name, source in config.sources.items() if source.kind == "stdin"]
    problems += [
        document.at(("sources", name), f"standard input is the source {lines[0]!r} already") for name in lines[1:]
    ]
    seen: dict[Path, str] = {}
    for name, sink in config.sinks.items():
        path = getattr(sink, "path", None)
        if path is not None and path in seen:
            problems.append(document.at(("sinks", name, "path"), f"{path} is of the sink {seen[path]!r} already"))
        elif path is not None:
            seen[path] = name
    addresses: dict[str, int] = {}
    for number, server in enumerate(config.servers):
        if server.address in addresses:
            problems.append(document.at(("servers", number, "address"), f"{server.address} is there twice"))
        addresses[server.address] = number
    return problems


def _unknown(document: Document, key: tuple[str, ...], given: str, kind: str, there: object) -> str:
    assert isinstance(there, dict)
    return document.at(key, f"no {kind} {given!r}; there are {', '.join(there)}")
