"""The zoo of networks, and how a photo becomes their input (`splitnet.models.preprocess`).

Importing this package imports neither torch nor ONNX nor Pillow.
"""

from splitnet.models.zoo import ZOO, Network, ZooTask, find_network, read_labels

__all__ = ["ZOO", "Network", "ZooTask", "find_network", "read_labels"]
