"""Who may ask for what, and how much of it."""

from splitnet.cloud.access.authenticator import Authenticator, Peer, Session
from splitnet.cloud.access.caller import ANYONE, Caller, ClientLimits, Permits
from splitnet.cloud.access.clients import Clients
from splitnet.cloud.access.limiter import Limiter

__all__ = ["ANYONE", "Authenticator", "Caller", "ClientLimits", "Clients", "Limiter", "Peer", "Permits", "Session"]
