"""Every exception featcodec raises on purpose.

::

    FeatcodecError
    ├── SpecError(ValueError)         a spec string or stage parameter is wrong; lists what exists
    ├── InputError(ValueError)        an array cannot be encoded: dtype, shape, a value out of range
    │   └── NonFiniteError            NaN or infinity for a stage that takes finite values only
    ├── FrameError(ValueError)        bytes that are not a valid frame
    │   ├── TruncatedError            they end before the frame does
    │   ├── ChecksumError             they changed on the way
    │   ├── UnsupportedError          a version, stage, dtype or critical extension unknown here
    │   └── PayloadError              a stage's own stream inside the frame is corrupt
    ├── LimitError                    decoding would exceed a `Limits` value
    ├── ProfileError(ValueError)      a profile's file or arrays are not a valid profile
    ├── ProfileRequiredError          a stage needs a calibrated profile; `.fingerprint` says which
    └── MissingLibraryError(ImportError)  an optional library is not installed
"""

from __future__ import annotations


class FeatcodecError(Exception):
    """Base of all errors raised by featcodec."""


class SpecError(FeatcodecError, ValueError):
    """A codec spec does not parse, names an unknown stage or gives a wrong parameter."""


class InputError(FeatcodecError, ValueError):
    """An array cannot be encoded with the chosen spec."""


class NonFiniteError(InputError):
    """An array holds NaN or infinity and the quantiser takes finite values only."""


class FrameError(FeatcodecError, ValueError):
    """The bytes are not a valid frame."""


class TruncatedError(FrameError):
    """The bytes end before the frame does."""


class ChecksumError(FrameError):
    """The frame's CRC-32 does not match its bytes."""


class UnsupportedError(FrameError):
    """The frame is well formed, but uses something this version does not know."""


class PayloadError(FrameError):
    """A stage's stream inside the frame is corrupt or has another size than the header says."""


class LimitError(FeatcodecError):
    """Decoding the frame would exceed one of the caller's `Limits`."""


class ProfileError(FeatcodecError, ValueError):
    """A profile's file or arrays are not a valid profile, or not of the kind a stage needs."""


class ProfileRequiredError(FeatcodecError):
    """A stage needs a calibrated profile that was not given.

    `fingerprint` holds the leading bytes of the profile's SHA-256 as the frame states them, or `b""` when
    an encoder was called without any profile.
    """

    def __init__(self, message: str, fingerprint: bytes = b"") -> None:
        super().__init__(message)
        self.fingerprint = fingerprint


class MissingLibraryError(FeatcodecError, ImportError):
    """A stage's library is not installed."""
