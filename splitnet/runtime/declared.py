"""Post-processors that the tasks of a bundle declare."""

from __future__ import annotations

from splitnet.bundle import Bundle
from splitnet.bundle.manifest import ImageInput, Task
from splitnet.errors import BundleError, ModelError
from splitnet.tasks import Kind, Setting, make_kind


def kind_of(bundle: Bundle, task: Task) -> Kind:
    """The post-processor that a task declares. Raises BundleError where there is none, or it does not fit."""
    try:
        kind = make_kind(task.kind, task.parameters)
    except ModelError as error:
        raise BundleError(f"{bundle.path}: task {task.name}: {error}") from error
    spec = bundle.manifest.input
    if kind.needs_image and not isinstance(spec, ImageInput):
        raise BundleError(
            f"{bundle.path}: task {task.name}: the kind {task.kind} is for images, and the network takes float32 "
            f"{spec.shape}; build the bundle with another kind"
        )
    return kind


def setting_of(bundle: Bundle, task: Task) -> Setting:
    """What it may need beside the output. Raises BundleError."""
    spec, labels = bundle.manifest.input, bundle.labels(task.name)
    return Setting(labels, spec.height, spec.width) if isinstance(spec, ImageInput) else Setting(labels)
