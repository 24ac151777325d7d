"""From a configuration to a service and its server."""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager

from splitnet.bundle import Bundle
from splitnet.cloud.access import Authenticator, Clients, Limiter
from splitnet.cloud.config.schema import Admin, ServeConfig
from splitnet.cloud.observe.observer import Observer
from splitnet.cloud.observe.watch import TOKEN_VARIABLE, PageSettings
from splitnet.cloud.repeats import Repeats
from splitnet.cloud.repository.manage import manage
from splitnet.cloud.repository.repository import Repository
from splitnet.cloud.server import Server
from splitnet.cloud.service import InferenceService
from splitnet.cloud.tls import ServerCertificate
from splitnet.errors import ConfigError, UsageError
from splitnet.runtime.backends import make_backend
from splitnet.wire.credentials import is_loopback


def check_safe(config: ServeConfig) -> None:
    """Beyond loopback, TLS and clients that are known, or somebody who asked for less by name.

    Raises
    ------
    UsageError
    """
    missing = [
        *([] if config.tls else ["TLS (--tls-cert FILE --tls-key FILE)"]),
        *([] if _authenticates(config) else ["authentication (--clients FILE or --client-ca FILE)"]),
    ]
    if missing and not config.insecure and not is_loopback(config.listen):
        raise UsageError(
            f"{config.listen} can be reached from elsewhere and needs {' and '.join(missing)}; --insecure does without"
        )


def authenticator(config: ServeConfig) -> Authenticator:
    """Raises ConfigError where the file of clients is not in order."""
    access = config.access
    return Authenticator(
        None if access.clients is None else Clients(access.clients),
        certificates=config.tls is not None and config.tls.client_ca is not None,
        proxies=access.proxy_networks,
        forwarded_header=access.forwarded_header,
        defaults=config.limits.per_client,
    )


def certificate(config: ServeConfig) -> ServerCertificate | None:
    """What the server shows; None for plain text."""
    return (
        None if config.tls is None else ServerCertificate(config.tls.certificate, config.tls.key, config.tls.client_ca)
    )


def pages(config: ServeConfig) -> PageSettings:
    """Where metrics and status page are. Raises ConfigError where their token is not there."""
    metrics = config.metrics
    if metrics is None:
        return PageSettings()
    token = os.environ.get(TOKEN_VARIABLE, "") if metrics.token is None else metrics.token.reveal("metrics.token")
    return PageSettings(metrics.listen, token, metrics.hosts)


def build_service(config: ServeConfig, observer: Observer | None = None) -> InferenceService:
    """The core with the configured bundles. Raises BundleError, ModelError, ConfigError."""
    access = authenticator(config)
    return InferenceService(
        [Bundle.load(directory) for directory in config.bundles],
        threads=config.threads,
        backend=make_backend(
            config.backend, config.threads, config.inter_threads, providers=config.providers, device=config.device
        ),
        max_frame_bytes=config.limits.max_frame_bytes,
        batching=config.batching.settings,
        repeats=Repeats(config.repeats.entries, config.repeats.seconds),
        access=access,
        observer=observer,
        limiter=Limiter(config.limits.clients_remembered),
    )


def management(config: ServeConfig, service: InferenceService) -> AbstractAsyncContextManager[Repository]:
    """The repository and its administration, for as long as the block runs.

    Raises
    ------
    ConfigError
        if administration over TCP has no TLS, or its files cannot be used.
    """
    admin = config.admin or Admin()
    credentials = None
    if admin.listen is not None:
        if config.tls is None:
            raise ConfigError("admin.listen needs the certificate and key of [tls]")
        credentials = ServerCertificate(config.tls.certificate, config.tls.key, admin.client_ca).credentials()
    return manage(
        service,
        config.repository,
        watch=config.watch,
        admin_socket=admin.socket,
        admin_listen=admin.listen or "",
        admin_credentials=credentials,
    )


def build_server(config: ServeConfig, service: InferenceService) -> Server:
    """The gRPC server around it. Raises UsageError where this would be unsafe, see `check_safe`."""
    check_safe(config)
    return Server(
        service,
        listen=config.listen,
        certificate=certificate(config),
        connections=config.limits.connections,
        streams_per_connection=config.limits.streams_per_connection,
    )


def check(config: ServeConfig) -> list[str]:
    """Try everything that a start would use, without serving; lines that say what would be served.

    Raises
    ------
    UsageError, ConfigError, BundleError
    """
    check_safe(config)
    access = authenticator(config)
    shown = certificate(config)
    if shown is not None:
        shown.check()
    pages(config).check()
    loaded = [Bundle.load(directory) for directory in config.bundles]
    for bundle in loaded:
        bundle.verify()
    secured = "plain text" if shown is None else "mutual TLS" if shown.mutual else "TLS"
    known = "clients are known" if access.required else "everyone is let in"
    return [
        f"listen {config.listen}: {secured}, {known}",
        *(f"model {one.manifest.name} {one.manifest.version}: {one.path}" for one in loaded),
        *([] if config.repository is None else [f"repository {config.repository}"]),
        *([] if config.metrics is None else [f"metrics {config.metrics.listen}"]),
        *([] if config.admin is None else [f"admin {config.admin.socket or config.admin.listen}"]),
    ]


def _authenticates(config: ServeConfig) -> bool:
    return config.access.clients is not None or (config.tls is not None and config.tls.client_ca is not None)
