"""From a frame to what a cloud graph takes, with an answer of the service for everything that is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

import featcodec
from featcodec.frame import MAGIC
from splitnet.bundle.manifest import Crossing, Cut, ImageInput
from splitnet.bundle.sizes import MOST_PIXELS_FACTOR, longest, most_together, most_values, takes, why_not
from splitnet.cloud.model import CloudModel
from splitnet.errors import FingerprintError, ImageError, InvalidRequestError, OverloadedError
from splitnet.runtime import Array
from splitnet.tasks.softmax import all_finite


@dataclass(frozen=True, slots=True)
class Content:
    """The cut's tensors, (1, *shape) each, perhaps of another size, in the order of `cut.crossing`; or `coefficients`
    (1, B, P, C) of its transform.
    """

    values: tuple[Array, ...]
    coefficients: bool


def decode_frame(frame: bytes, model: CloudModel, cut: Cut) -> Content:
    """Decode a frame for `cut`, within the model's limits; at the cut `input` of a network that takes images, an image
    file is a frame, too.

    Raises
    ------
    InvalidRequestError
        if it is malformed, holds another shape or dtype than the cut's, or a value that is not finite. Axes that follow
        the image's size may have another length, up to what `splitnet.bundle.sizes` says.
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
        found.shape[:1] == (1,) and takes(one, found.shape[1:]) and found.dtype == one.dtype
        for found, one in zip(tensors, cut.crossing, strict=True)
    ):
        raise InvalidRequestError(f"the frame holds {held(tensors)}; cut {cut.name} takes {_expected(cut)}")
    if any(one.free for one in cut.crossing):
        assert isinstance(manifest.input, ImageInput)
        _check_size(tensors, cut, manifest.input, photo is not None)
    if not all(map(all_finite, tensors)):
        raise InvalidRequestError(f"the frame for cut {cut.name} holds NaN or infinity")
    return Content(tensors, False)


def _check_size(tensors: Sequence[Array], cut: Cut, spec: ImageInput, is_photo: bool) -> None:
    """Each within its own share of an image of the largest size: `featcodec.Limits` know the largest tensor alone.

    And every two together: where one is a row and the other a column, what an operator makes of both is their product.
    """
    for found, one in zip(tensors, cut.crossing, strict=True):
        sides = found.shape[1:]
        flat = len(one.free) < 2
        if found.size > most_values(one) or not (
            flat or all(sides[axis] <= longest(one, axis, spec) for axis in one.free)
        ):
            raise InvalidRequestError(
                f"the frame holds {found.dtype} {found.shape}, at the nominal size it is {(1, *one.shape)}: send an"
                f" image of at most {MOST_PIXELS_FACTOR} times the nominal number of pixels"
            )
    for (first, one), (second, two) in combinations(zip(tensors, cut.crossing, strict=True), 2):
        if first.ndim == second.ndim and math.prod(map(max, first.shape, second.shape)) > most_together(one, two):
            raise InvalidRequestError(
                f"the frame holds {held(tensors)}, which are of no one image: send what the edge graph of cut"
                f" {cut.name} makes of one"
            )
    if is_photo:
        height, width = tensors[0].shape[2:]
        reason = why_not(spec, (height, width))
        if reason:
            raise InvalidRequestError(f"the frame holds an image of {height}x{width}: {reason}")


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


def nominal(cut: Cut, content: Content) -> bool:
    """Whether what a frame held is of the bundle's nominal size."""
    return content.coefficients or all(
        found.shape[1:] == one.shape for found, one in zip(content.values, cut.crossing, strict=True)
    )


def held(tensors: Sequence[Array]) -> str:
    """Tensors as messages name them: dtypes and shapes."""
    return ", ".join(f"{found.dtype} {found.shape}" for found in tensors)


def _expected(cut: Cut) -> str:
    shapes = ", ".join(f"{one.dtype} {_shape(one)}" for one in cut.crossing)
    if not any(one.free for one in cut.crossing):
        return shapes
    return f"{shapes}, where * follows the image's size, up to {MOST_PIXELS_FACTOR} times the nominal pixels"


def _shape(one: Crossing) -> str:
    sides = [f"{side}*" if axis in one.free else str(side) for axis, side in enumerate(one.shape)]
    return f"(1, {', '.join(sides)})" if sides else "(1,)"


def _wrong_profile(fingerprint: bytes, model: CloudModel, cut: Cut) -> str:
    calibrated = model.calibrated.get(cut.name)
    known = "none" if calibrated is None else calibrated.profile.fingerprint[: len(fingerprint)].hex()
    return (
        f"the frame needs profile {fingerprint.hex()}, but cut {cut.name} of {model.bundle.manifest.name} has {known}; "
        "deploy the same bundle on both"
    )
