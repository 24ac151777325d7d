"""Bundles: the unit of deployment.

`Bundle.load` reads one (no torch, no ONNX needed); `splitnet.bundle.build.build_bundle` makes one (extra
``[train]``).
"""

from splitnet.bundle.load import Bundle
from splitnet.bundle.manifest import Cut, File, ImageInput, Manifest, Task

__all__ = ["Bundle", "Cut", "File", "ImageInput", "Manifest", "Task"]
