"""The `splitnet` command: one file a subcommand, heavy imports inside them."""

from __future__ import annotations

import os
import signal
import sys
from itertools import pairwise

import typer
from typer.exceptions import TyperException

from splitnet._version import __version__
from splitnet.cli import (
    admin,
    build,
    calibrate,
    demo,
    edge_daemon,
    edge_roll_back,
    edge_run,
    edge_status,
    fetch,
    inspect,
    plan,
    profile,
    serve,
    sign,
    token,
)
from splitnet.cli.exit_codes import ExitCode, exit_code
from splitnet.errors import SplitnetError
from splitnet.termination import terminate

app = typer.Typer(
    name="splitnet",
    help="Split inference for CNNs: first layers on the device, a few kilobytes of features, the rest in the cloud.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
edge = typer.Typer(help="The device's half.")
tokens = typer.Typer(help="Bearer tokens for clients of the service.")
app.add_typer(edge, name="edge")
app.add_typer(admin.app, name="admin")
app.add_typer(tokens, name="token")
app.command("build")(build.build)
app.command("calibrate")(calibrate.calibrate)
app.command("fetch")(fetch.fetch)
app.command("inspect")(inspect.inspect)
app.command("plan")(plan.plan)
app.command("profile")(profile.profile)
app.command("serve")(serve.serve)
app.command("sign")(sign.sign)
edge.command("run")(edge_run.run)
edge.command("daemon")(edge_daemon.daemon)
edge.command("status")(edge_status.status)
edge.command("roll-back")(edge_roll_back.roll_back)
tokens.command("new")(token.new)
app.command("demo")(demo.demo)


def _version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print it."),
) -> None:
    """Options before the subcommand."""


def main() -> None:
    """Run the command; an error is one line on standard error and the exit code of docs/cli.md.

    With SPLITNET_DEBUG=1 in the environment, errors keep their traceback.
    """
    # gRPC would write lines of its own to standard error for what reaches us as an exception anyway. Read when it is
    # first imported, which the commands do.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    signal.signal(signal.SIGTERM, terminate)
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        # Not typer's own way to end: its errors are boxes of several lines.
        code = app(prog_name="splitnet", standalone_mode=False) or ExitCode.OK
        if code == ExitCode.INTERRUPTED:
            print("splitnet: interrupted", file=sys.stderr)
        sys.exit(code)
    except TyperException as error:
        _fail(_usage_line(error), ExitCode.USAGE, error)
    except SplitnetError as error:
        _fail(str(error), exit_code(error), error)
    except ImportError as error:
        _fail(f"{error.name or error} is not installed; see the extras in README.md", ExitCode.USAGE, error)
    except (KeyboardInterrupt, typer.Abort) as error:
        _fail("interrupted", ExitCode.INTERRUPTED, error)
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does; say nothing more, also at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.OUTPUT)
    except OSError as error:
        _fail(f"{error.strerror or error}: {error.filename or 'output'}", ExitCode.OUTPUT, error)
    except Exception as error:  # noqa: BLE001 - the outermost boundary: a defect of ours is one line too
        line = f"internal error: {type(error).__name__}: {error}; run again with SPLITNET_DEBUG=1 and report it"
        _fail(line, ExitCode.INTERNAL, error)


def _usage_line(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "splitnet"
    names = getattr(getattr(error, "param", None), "opts", ())
    # Typer says what a value should be, not what it is.
    given = [f" (given: {value!r})" for name, value in pairwise(sys.argv) if name in names]
    return f"{error.format_message().rstrip('.')}{''.join(given[:1])}; see `{command} --help`"


def _fail(message: str, code: ExitCode, error: BaseException) -> None:
    if os.environ.get("SPLITNET_DEBUG") == "1":
        raise error
    print("splitnet:", " ".join(message.split()), file=sys.stderr)
    sys.exit(code)
