"""`splitnet admin`: the models of a running service."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from splitnet.errors import BundleError, UsageError

if TYPE_CHECKING:
    from splitnet.v1 import admin_pb2 as pb

Socket = Annotated[Path, typer.Option("--socket", envvar="SPLITNET_ADMIN_SOCKET", help="The service's --admin-socket.")]
Model = Annotated[str, typer.Argument(metavar="NAME[@VERSION]")]
TIMEOUT = 600.0
"""Seconds for one call: loading reads, checks and runs a whole model."""

app = typer.Typer(help="Load, unload and reload models of a running service, over its Unix socket.")


@app.command("list")
def list_versions(
    socket: Socket, as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False
) -> None:
    """Every version: served, failed, or in the repository folder unused."""
    from splitnet.v1 import admin_pb2 as pb

    _show(_call(socket, "ListVersions", pb.ListVersionsRequest()).versions, as_json)


@app.command()
def load(model: Model, socket: Socket) -> None:
    """Serve a version; without VERSION the newest in the folder."""
    from splitnet.v1 import admin_pb2 as pb

    name, version = split_model(model)
    _report([_call(socket, "Load", pb.LoadRequest(name=name, version=version)).version])


@app.command()
def unload(model: Model, socket: Socket) -> None:
    """Serve a version no longer; requests under way are answered."""
    from splitnet.v1 import admin_pb2 as pb

    name, version = split_model(model)
    _report([_call(socket, "Unload", pb.UnloadRequest(name=name, version=version)).version])


@app.command()
def reload(model: Model, socket: Socket) -> None:
    """Load a version again from its files; without VERSION all of the model's."""
    from splitnet.v1 import admin_pb2 as pb

    name, version = split_model(model)
    _report(_call(socket, "Reload", pb.ReloadRequest(name=name, version=version)).versions)


@app.command()
def default(model: Model, socket: Socket) -> None:
    """Choose the version for requests that name none; without VERSION it is the newest again."""
    from splitnet.v1 import admin_pb2 as pb

    name, version = split_model(model)
    _report([_call(socket, "SetDefault", pb.SetDefaultRequest(name=name, version=version)).version])


def split_model(model: str) -> tuple[str, str]:
    """Name and version of NAME[@VERSION]. Raises UsageError."""
    name, separator, version = model.partition("@")
    if not name or (separator and not version):
        raise UsageError(f"{model!r} is not NAME or NAME@VERSION")
    return name, version


def _call(socket: Path, method: str, request: Any) -> Any:
    import grpc

    from splitnet.v1 import admin_pb2_grpc as pb_grpc
    from splitnet.wire.channels import from_rpc_error

    address = f"unix:{socket.absolute()}"
    with grpc.insecure_channel(address) as channel:
        call: Callable[..., Any] = getattr(pb_grpc.AdminServiceStub(channel), method)
        try:
            return call(request, timeout=TIMEOUT)
        except grpc.RpcError as error:
            raise from_rpc_error(error, address) from error


def _report(versions: Iterable[pb.Version]) -> None:
    """Show what the service answered. Raises BundleError where a version could not be loaded."""
    listed = list(versions)
    _show(listed, as_json=False)
    for version in listed:
        if version.error:
            raise BundleError(f"{version.name}@{version.version}: {version.error}")


def _show(versions: Iterable[pb.Version], as_json: bool) -> None:
    import json

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from splitnet.wire.administration import state_name

    table = Table("model", "version", "state", "default", "fingerprint", "error", box=None, header_style="bold")
    for one in versions:
        default = ("pinned" if one.pinned else "yes") if one.default else ""
        state, fingerprint = state_name(one), one.fingerprint.hex()
        if as_json:
            row = {"name": one.name, "version": one.version, "state": state, "default": one.default}
            typer.echo(json.dumps({**row, "pinned": one.pinned, "fingerprint": fingerprint, "error": one.error}))
        table.add_row(one.name, one.version, state, default, fingerprint[:12], escape(one.error))
    if not as_json:
        Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200).print(table)
