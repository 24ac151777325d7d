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
    """The cut's tensors, (1, *shape) each in the order of `cut.crossing`; or `coefficients` (1, B, P, C) of its
    transform.
    """

    values: tuple[Array, ...]
    coefficients: bool


def decode_frame(frame: bytes, model: CloudModel, cut: Cut) -> Content:
    """Decode a frame for `cut`, within the model's limits; at the cut `input` of a network that takes images, an image
    file is a frame, too.

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
    photo = manifest.input if isinstance(manifest.input, ImageInput) and manifest.is_input(cut) else None
    if photo is not None and not frame.startswith(MAGIC):
        return Content((_from_file(frame, limits.frame_bytes, photo),), False)
    profiles = {} if calibrated is None else {calibrated.profile.fingerprint: calibrated.profile}
    try:
        if calibrated is not None and featcodec.is_transform(frame):
            # Of the profile's shape and a whole number times a step each: nothing is left to check.
            values = featcodec.decode_coefficients(frame, profiles=profiles, limits=limits)
            return Content((values[np.newaxis],), True)
        tensors = featcodec.decode_many(frame, profiles=profiles, limits=limits)
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
    if len(tensors) != len(cut.crossing) or not all(
        found.shape == (1, *one.shape) and found.dtype == one.dtype
        for found, one in zip(tensors, cut.crossing, strict=True)
    ):
        held = ", ".join(f"{found.dtype} {found.shape}" for found in tensors)
        raise InvalidRequestError(f"the frame holds {held}; cut {cut.name} takes {_expected(cut)}")
    if not all(map(all_finite, tensors)):
        raise InvalidRequestError(f"the frame for cut {cut.name} holds NaN or infinity")
    return Content(tensors, False)


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
    return ", ".join(f"{one.dtype} {(1, *one.shape)}" for one in cut.crossing)


def _wrong_profile(fingerprint: bytes, model: CloudModel, cut: Cut) -> str:
    calibrated = model.calibrated.get(cut.name)
    known = "none" if calibrated is None else calibrated.profile.fingerprint[: len(fingerprint)].hex()
    return (
        f"the frame needs profile {fingerprint.hex()}, but cut {cut.name} of {model.bundle.manifest.name} has {known}; "
        "deploy the same bundle on both"
    )
