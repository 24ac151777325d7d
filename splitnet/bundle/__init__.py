"""Bundles: the unit of deployment.

`Bundle.load` reads one (no torch, no ONNX needed); `splitnet.bundle.build.build_bundle` makes one and
`add_transform` gives one a calibrated profile (both with the extra ``[train]``).
"""

from splitnet.bundle.load import Bundle
from splitnet.bundle.manifest import Cut, File, ImageInput, Manifest, Task, Transform
from splitnet.bundle.transform import Calibration, add_transform, add_transforms

__all__ = [
    "Bundle",
    "Calibration",
    "Cut",
    "File",
    "ImageInput",
    "Manifest",
    "Task",
    "Transform",
    "add_transform",
    "add_transforms",
]
