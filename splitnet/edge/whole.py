"""The whole network on the device, for answers without a server."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from splitnet.bundle import Bundle
from splitnet.errors import ImageError
from splitnet.runtime import Array
from splitnet.runtime.bundled import load_graph
from splitnet.runtime.declared import kind_of, setting_of
from splitnet.tasks import Result


class WholeNetwork:
    """Runs the unsplit network and the post-processors of the tasks whose outputs it computes.

    `cloud_only` tasks are left out. Raises BundleError, ModelError.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1, cloud_only: Collection[str] = ()) -> None:
        self._graph = load_graph(bundle, bundle.manifest.whole, threads=threads)
        there = {output.name for output in self._graph.outputs}
        self._input = bundle.manifest.input.tensor
        self._tasks = {
            task.name: (task.output, kind_of(bundle, task), setting_of(bundle, task))
            for task in bundle.manifest.tasks
            if task.output in there and task.name not in cloud_only
        }

    @property
    def tasks(self) -> Collection[str]:
        """Names of what it answers."""
        return self._tasks.keys()

    def run(self, tensor: Array, tasks: Sequence[str], top_k: int = 0) -> Mapping[str, Result]:
        """The network's input (1, ...) float32 -> a result for each of `tasks`. Raises ImageError for NaN, infinity."""
        outputs = self._graph.run({self._input: tensor}, [self._tasks[task][0] for task in tasks])
        results = {}
        for task, output in zip(tasks, outputs, strict=True):
            _, kind, setting = self._tasks[task]
            if not np.isfinite(output).all():
                raise ImageError(f"task {task}: the network makes NaN or infinity of this input")
            results[task] = kind.result(output[0], setting, top_k)
        return results


def has_whole(bundle: Bundle) -> bool:
    """Whether the unsplit network is on this device; a bundle that was fetched for the edge alone lacks it."""
    return (bundle.path / bundle.manifest.whole).exists()
