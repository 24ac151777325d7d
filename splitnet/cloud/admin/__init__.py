"""The administrator's side of a running service."""

from splitnet.cloud.admin.server import AdminServer

__all__ = ["AdminServer"]
