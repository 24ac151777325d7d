"""Exit codes of `splitnet`; documented in docs/cli.md."""

from __future__ import annotations

from enum import IntEnum

from splitnet.errors import (
    BundleError,
    ConfigError,
    ImageError,
    ModelError,
    OutputError,
    SampleError,
    ServiceError,
    SourceError,
    SplitnetError,
    UsageError,
    VerificationError,
)


class ExitCode(IntEnum):
    """What the process tells its caller."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    SERVICE = 3
    BUNDLE = 4
    INPUT = 5
    OUTPUT = 6
    VERIFICATION = 7
    CONFIG = 8
    INTERNAL = 70
    INTERRUPTED = 130
    TERMINATED = 143


_BY_ERROR: tuple[tuple[type[SplitnetError], ExitCode], ...] = (
    (UsageError, ExitCode.USAGE),
    (ConfigError, ExitCode.CONFIG),
    (ServiceError, ExitCode.SERVICE),
    (BundleError, ExitCode.BUNDLE),
    (ModelError, ExitCode.INPUT),
    (ImageError, ExitCode.INPUT),
    (SampleError, ExitCode.INPUT),
    (SourceError, ExitCode.INPUT),
    (OutputError, ExitCode.OUTPUT),
    (VerificationError, ExitCode.VERIFICATION),
)


def exit_code(error: SplitnetError) -> ExitCode:
    """The code that stands for an error."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.INTERNAL)
