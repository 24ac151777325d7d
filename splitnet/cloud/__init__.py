"""The cloud half: the engine-neutral service and the gRPC server around it."""

from splitnet.cloud.service import InferenceService

__all__ = ["InferenceService"]
