"""Requests of many connections become batches: fair between clients, bounded, nothing late or cancelled is run."""

from splitnet.cloud.batching.batcher import Batcher, BatchSettings
from splitnet.cloud.batching.fair_queue import FairQueue
from splitnet.cloud.batching.job import Answer, Job, Outcome

__all__ = ["Answer", "BatchSettings", "Batcher", "FairQueue", "Job", "Outcome"]
