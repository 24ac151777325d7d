"""From a frame to what a cloud graph takes, with an answer of the service for everything that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import featcodec
from featcodec.frame import MAGIC
from splitnet.bundle.manifest import Cut, ImageInput
from splitnet.cloud.model import CloudModel
from splitnet.errors import FingerprintError, ImageError, InvalidRequestError, OverloadedError
from splitnet.runtime import Array
from splitnet.tasks.softmax import all_finite


@dataclass(frozen=True, slots=True)
class Content:
    """Features (1, *cut.shape), or `coefficients` (1, B, P, C) of the cut's transform."""

    values: Array
    coefficients: bool


def decode_frame(frame: bytes, model: CloudModel, cut: Cut) -> Content:
    """Decode a frame for `cut`, within the model's limits; at the cut `input`, an image file is a frame, too.

    Raises
    ------
    InvalidRequestError
        if it is malformed, holds another shape or dtype than the cut's, or a value that is not finite.
    FingerprintError
        if it was coded with a profile that the cut does not have here.
    OverloadedError
        if it is larger than the service accepts.
    """
    limits, calibrated = model.limits[cut.name], model.calibrated.get(cut.name)
    manifest = model.bundle.manifest
    if manifest.is_input(cut) and not frame.startswith(MAGIC):
        return Content(_from_file(frame, limits.frame_bytes, manifest.input), False)
    profiles = {} if calibrated is None else {calibrated.profile.fingerprint: calibrated.profile}
    try:
        if calibrated is not None and featcodec.is_transform(frame):
            # Of the profile's shape and a whole number times a step each: nothing is left to check.
            values = featcodec.decode_coefficients(frame, profiles=profiles, limits=limits)
            return Content(values[np.newaxis], True)
        values = featcodec.decode(frame, profiles=profiles, limits=limits)
    except featcodec.ProfileRequiredError as error:
        raise FingerprintError(_wrong_profile(error.fingerprint, model, cut)) from error
    except featcodec.LimitError as error:
        if len(frame) > limits.frame_bytes:
            raise OverloadedError(
                f"a frame of {len(frame)} bytes is over the limit of {limits.frame_bytes}; use a smaller codec"
            ) from error
        raise InvalidRequestError(f"the frame holds more than cut {cut.name} takes: {_expected(cut)}") from error
    except featcodec.FeatcodecError as error:
        raise InvalidRequestError(f"malformed frame: {error}") from error
    if values.shape != (1, *cut.shape) or values.dtype != cut.dtype:
        raise InvalidRequestError(
            f"the frame holds {values.dtype} {values.shape}; cut {cut.name} takes {_expected(cut)}"
        )
    if not all_finite(values):
        raise InvalidRequestError(f"the frame for cut {cut.name} holds NaN or infinity")
    return Content(values, False)


def _from_file(data: bytes, most: int, spec: ImageInput) -> Array:
    # Only here: a service that gets no photos does without a library for them.
    from splitnet.models.image_codec import input_of_file

    if len(data) > most:
        raise OverloadedError(f"a file of {len(data)} bytes is over the limit of {most}; send a smaller one")
    try:
        return input_of_file(data, spec)
    except ImageError as error:
        what = "neither featcodec's nor a JPEG, WebP or PNG file"
        raise InvalidRequestError(f"malformed frame: {what}: {error}") from error


def _expected(cut: Cut) -> str:
    return f"{cut.dtype} {(1, *cut.shape)}"


def _wrong_profile(fingerprint: bytes, model: CloudModel, cut: Cut) -> str:
    calibrated = model.calibrated.get(cut.name)
    known = "none" if calibrated is None else calibrated.profile.fingerprint[: len(fingerprint)].hex()
    return (
        f"the frame needs profile {fingerprint.hex()}, but cut {cut.name} of {model.bundle.manifest.name} has {known}; "
        "deploy the same bundle on both"
    )
