"""Every exception that splitnet raises on purpose.

::

    SplitnetError
    ├── UsageError                a value a person typed cannot be used
    ├── ConfigError               a configuration file cannot be read, or says what cannot be
    ├── ModelError                a network cannot be loaded, exported or cut
    ├── BundleError               a bundle is missing, incomplete or altered
    ├── ImageError                a photo cannot be read
    ├── SampleError               an input that is no photo cannot be read, or is not what the network takes
    ├── SourceError               a source of inputs ended that should not: a camera is gone
    ├── OutputError               a result cannot be written (full disk, permissions)
    ├── VerificationError         split and whole network disagree
    └── ServiceError              an answer of the service, by gRPC status code
        ├── InvalidRequestError       INVALID_ARGUMENT
        ├── UnknownError              NOT_FOUND
        ├── FingerprintError          FAILED_PRECONDITION
        ├── OverloadedError           RESOURCE_EXHAUSTED
        ├── LateError                 DEADLINE_EXCEEDED
        ├── UnavailableError          UNAVAILABLE
        ├── UnauthenticatedError      UNAUTHENTICATED
        ├── PermissionDeniedError     PERMISSION_DENIED
        ├── CancelledError            CANCELLED
        ├── UnimplementedError        UNIMPLEMENTED
        └── InternalError             INTERNAL

A library's own exception never escapes: it is wrapped with ``raise ... from``. `featcodec` has a tree of its own
(`featcodec.errors`), because it is useful without splitnet.
"""

from __future__ import annotations

from typing import ClassVar

FAULT = "the service failed; its log says why"
"""All that a client hears of a defect of the service."""


class SplitnetError(Exception):
    """Root of the tree; its message is one line that says what was wrong and what to do."""


class UsageError(SplitnetError):
    """A value that a person or a caller chose cannot be used: an unknown cut, codec, task or model."""


class ConfigError(SplitnetError):
    """A configuration file cannot be read or says what cannot be; the message names file, line and key."""


class ModelError(SplitnetError):
    """A network cannot be loaded, exported, analysed or cut."""


class BundleError(SplitnetError):
    """A bundle is missing, incomplete, altered or of an unknown format."""


class ImageError(SplitnetError):
    """A photo cannot be read or decoded."""


class SampleError(SplitnetError):
    """An input of a network that takes no images cannot be read, or is not what the network takes."""


class SourceError(SplitnetError):
    """A source ended that should not: a camera that is gone, a folder that cannot be read. It may come back."""


class OutputError(SplitnetError):
    """A result cannot be written."""


class VerificationError(SplitnetError):
    """Split and whole network disagree by more than the tolerance."""


class ServiceError(SplitnetError):
    """An answer of the service that is not a result; `code` is the name of its gRPC status code.

    `reason` tells causes of one code apart in metrics and logs: one word of few, empty where the code says it all.
    `retry_after` is in seconds: when trying again may help; None where it never does, or nobody knows.

    The service core raises these, the transports carry them, the client raises the same class again.
    """

    code: ClassVar[str] = "UNKNOWN"
    reason: str = ""
    retry_after: float | None = None


class InvalidRequestError(ServiceError):
    """The frame is malformed or does not fit the cut."""

    code = "INVALID_ARGUMENT"


class UnknownError(ServiceError):
    """The service does not have this model, cut or task."""

    code = "NOT_FOUND"


class FingerprintError(ServiceError):
    """Edge and service hold different bundles, or the frame was coded with another profile than the cut's."""

    code = "FAILED_PRECONDITION"


class OverloadedError(ServiceError):
    """A limit was reached: the line is full, a client's share is used up, or the frame is too large."""

    code = "RESOURCE_EXHAUSTED"

    def __init__(self, message: str = "", *, retry_after: float | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.reason = reason


class LateError(ServiceError):
    """The deadline passed before the answer was there."""

    code = "DEADLINE_EXCEEDED"


class UnavailableError(ServiceError):
    """No server answers, or it is shutting down."""

    code = "UNAVAILABLE"


class UnauthenticatedError(ServiceError):
    """No credentials, or ones that the service does not know."""

    code = "UNAUTHENTICATED"


class PermissionDeniedError(ServiceError):
    """Valid credentials that do not allow this model, task or call."""

    code = "PERMISSION_DENIED"


class CancelledError(ServiceError):
    """The request was cancelled."""

    code = "CANCELLED"


class UnimplementedError(ServiceError):
    """Something answers at this address, but it is not this service."""

    code = "UNIMPLEMENTED"


class InternalError(ServiceError):
    """The service failed in a way that is its own fault; clients are told no more than that."""

    code = "INTERNAL"

    def __init__(self, message: str = FAULT) -> None:
        super().__init__(message)


SERVICE_ERRORS: dict[str, type[ServiceError]] = {
    error.code: error
    for error in (
        InvalidRequestError,
        UnknownError,
        FingerprintError,
        OverloadedError,
        LateError,
        UnavailableError,
        UnauthenticatedError,
        PermissionDeniedError,
        CancelledError,
        UnimplementedError,
        InternalError,
    )
}
"""gRPC status code name -> the exception that stands for it."""
