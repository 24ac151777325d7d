"""Commands called in this process."""

from __future__ import annotations

import typer
from typer.testing import CliRunner, Result

from splitnet.cli.build import build
from splitnet.cli.calibrate import calibrate
from splitnet.cli.edge_run import run as edge_run
from splitnet.cli.inspect import inspect
from splitnet.cli.plan import plan
from splitnet.cli.profile import profile

_APP = typer.Typer()
for _command in (build, inspect, calibrate, profile, plan):
    _APP.command()(_command)
_APP.command("run")(edge_run)


def call(*arguments: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(_APP, [str(argument) for argument in arguments])


def output(*arguments: object) -> str:
    """What a command prints; it must succeed."""
    result = call(*arguments)
    assert result.exit_code == 0, (result.exception, result.output)
    return result.stdout


def refused(kind: type[Exception], *arguments: object) -> str:
    """The one line of the error that a command must end with."""
    result = call(*arguments)
    assert isinstance(result.exception, kind), (result.exception, result.output)
    assert "\n" not in str(result.exception)
    return str(result.exception)
