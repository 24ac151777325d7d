"""The models that are served."""

from splitnet.cloud.repository.served import Served

__all__ = ["Served"]
