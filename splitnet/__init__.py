"""splitnet: split inference for CNNs."""

from splitnet._version import __version__

__all__ = ["__version__"]
