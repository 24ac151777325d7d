"""The exchange as protobuf messages, both ways."""

from __future__ import annotations

import json
import zlib

import numpy as np

from splitnet.bundle.manifest import ImageInput, TensorInput
from splitnet.errors import InternalError, InvalidRequestError, UnavailableError
from splitnet.tasks.results import (
    Box,
    Classification,
    Custom,
    Detections,
    Embedding,
    FloatArray,
    Label,
    Result,
    Score,
    Tensor,
)
from splitnet.v1 import inference_pb2 as pb
from splitnet.wire.exchange import (
    Chunk,
    CutInfo,
    InferenceRequest,
    InferenceResponse,
    ModelInfo,
    ModelSummary,
    Timing,
    Wanted,
)

MAX_PRIORITY = 3
"""The highest priority of a request; 0 is that of most."""

TRACEPARENT_LENGTH = 55


def request_to_message(request: InferenceRequest) -> pb.InferRequest:
    return pb.InferRequest(
        model=request.model,
        version=request.version,
        fingerprint=bytes.fromhex(request.fingerprint),
        cut=request.cut,
        frame=request.frame,
        tasks=request.tasks,
        top_k=request.top_k,
        outputs=request.outputs,
        request_id=request.request_id,
        priority=request.priority,
        traceparent=request.traceparent,
    )


def request_from_message(message: pb.InferRequest) -> InferenceRequest:
    """Raises InvalidRequestError where a required field is missing or malformed."""
    if not message.model:
        raise InvalidRequestError("the request names no model; set `model`")
    if len(message.fingerprint) != 32:
        raise InvalidRequestError(
            f"the bundle's fingerprint has {len(message.fingerprint)} bytes; it must be the SHA-256, 32 bytes"
        )
    if len(message.request_id) not in (0, 16):
        raise InvalidRequestError(f"the request id has {len(message.request_id)} bytes; it must be 16 random ones")
    if message.priority > MAX_PRIORITY:
        raise InvalidRequestError(f"priority {message.priority} is over {MAX_PRIORITY}, the highest")
    return InferenceRequest(
        model=message.model,
        fingerprint=message.fingerprint.hex(),
        cut=message.cut,
        frame=message.frame,
        tasks=tuple(message.tasks),
        top_k=message.top_k,
        outputs=message.outputs,
        version=message.version,
        request_id=message.request_id,
        priority=message.priority,
        # Anything else is not one, and a trace is not worth a refusal.
        traceparent=message.traceparent if len(message.traceparent) == TRACEPARENT_LENGTH else "",
    )


def _result_to_message(task: str, result: Result) -> pb.TaskResult:
    match result:
        case Classification(top):
            labels = [pb.Label(index=one.index, label=one.label, probability=one.probability) for one in top]
            return pb.TaskResult(task=task, classification=pb.Classification(top=labels))
        case Embedding(values):
            return pb.TaskResult(task=task, embedding=pb.Embedding(float32=_floats_to_bytes(values)))
        case Tensor(values):
            return pb.TaskResult(task=task, tensor=_tensor_to_message(values))
        case Score(value, verdict):
            return pb.TaskResult(task=task, score=pb.Score(value=value, verdict=verdict))
        case Detections(boxes):
            return pb.TaskResult(task=task, detections=pb.Detections(boxes=[_box_to_message(box) for box in boxes]))
        case Custom(kind, data, tensors):
            named = {name: _tensor_to_message(values) for name, values in tensors.items()}
            text = "" if data is None else json.dumps(data, allow_nan=False)
            return pb.TaskResult(task=task, custom=pb.Custom(kind=kind, json=text, tensors=named))


def _box_to_message(box: Box) -> pb.Box:
    return pb.Box(x1=box.x1, y1=box.y1, x2=box.x2, y2=box.y2, score=box.score, index=box.index, label=box.label)


def _tensor_to_message(values: FloatArray) -> pb.Tensor:
    return pb.Tensor(shape=values.shape, float32=_floats_to_bytes(values))


def _floats_to_bytes(values: FloatArray) -> bytes:
    return values.astype("<f4", copy=False).tobytes()


def _floats_from_bytes(data: bytes, task: str) -> FloatArray:
    try:
        return np.frombuffer(data, dtype="<f4").astype(np.float32, copy=False)
    except ValueError as error:
        raise InternalError(f"the server's numbers for task {task!r} are cut short: {error}") from error


def _tensor_from_message(message: pb.Tensor, task: str) -> FloatArray:
    try:
        return _floats_from_bytes(message.float32, task).reshape(tuple(message.shape))
    except ValueError as error:
        raise InternalError(f"the server's tensor for task {task!r} is malformed: {error}") from error


def _result_from_message(message: pb.TaskResult) -> Result:
    match message.WhichOneof("result"):
        case "classification":
            top = message.classification.top
            return Classification(tuple(Label(one.index, one.label, one.probability) for one in top))
        case "embedding":
            return Embedding(_floats_from_bytes(message.embedding.float32, message.task))
        case "tensor":
            return Tensor(_tensor_from_message(message.tensor, message.task))
        case "score":
            return Score(message.score.value, message.score.verdict)
        case "detections":
            return Detections(
                tuple(
                    Box(one.x1, one.y1, one.x2, one.y2, one.score, one.index, one.label)
                    for one in message.detections.boxes
                )
            )
        case "custom":
            return _custom_from_message(message)
        case _:
            raise InternalError(f"the server's answer to task {message.task!r} is of a kind unknown to this client")


def _custom_from_message(message: pb.TaskResult) -> Custom:
    custom = message.custom
    try:
        data = json.loads(custom.json) if custom.json else None
    except (ValueError, RecursionError) as error:
        raise InternalError(f"the server's JSON for task {message.task!r} is malformed: {error}") from error
    tensors = {name: _tensor_from_message(tensor, message.task) for name, tensor in custom.tensors.items()}
    return Custom(custom.kind, data, tensors)


def response_to_message(response: InferenceResponse, message: pb.InferResponse | None = None) -> pb.InferResponse:
    """Fill `message`, a new one by default: where it is part of another, nothing has to be copied."""
    message = pb.InferResponse() if message is None else message
    message.results.extend([_result_to_message(task, result) for task, result in response.results.items()])
    if response.outputs:
        for one in message.results:
            if one.task in response.outputs:
                one.output.CopyFrom(_tensor_to_message(response.outputs[one.task]))
    to, timing = message.timing, response.timing
    to.queue, to.decode, to.graph, to.heads = timing.queue, timing.decode, timing.graph, timing.heads
    to.post, to.total, to.batch, to.waiting = timing.post, timing.total, timing.batch, timing.waiting
    return message


def response_from_message(message: pb.InferResponse) -> InferenceResponse:
    timing = message.timing
    return InferenceResponse(
        results={one.task: _result_from_message(one) for one in message.results},
        timing=Timing(
            timing.queue,
            timing.decode,
            timing.graph,
            timing.heads,
            timing.post,
            timing.total,
            max(1, timing.batch),
            timing.waiting,
        ),
        outputs={
            one.task: _tensor_from_message(one.output, one.task) for one in message.results if one.HasField("output")
        },
    )


def summary_to_message(summary: ModelSummary) -> pb.ModelSummary:
    return pb.ModelSummary(name=summary.name, version=summary.version, fingerprint=bytes.fromhex(summary.fingerprint))


def summary_from_message(message: pb.ModelSummary) -> ModelSummary:
    return ModelSummary(message.name, message.version, message.fingerprint.hex())


def model_to_message(model: ModelInfo) -> pb.GetModelResponse:
    spec = model.input
    image, tensor = (None, spec) if isinstance(spec, TensorInput) else (spec, None)
    return pb.GetModelResponse(
        summary=summary_to_message(model.summary),
        input=None
        if image is None
        else pb.ImageInput(
            height=image.height,
            width=image.width,
            resize_short=image.resize_short,
            interpolation=image.interpolation,
            mean=image.mean,
            std=image.std,
            multiple=image.multiple,
        ),
        tensor=None if tensor is None else pb.TensorInput(shape=tensor.shape),
        cuts=[_cut_to_message(cut) for cut in model.cuts],
        tasks=[pb.Task(name=name, kind=kind) for name, kind in model.tasks.items()],
        codec_stages=model.codec_stages,
        max_frame_bytes=model.max_frame_bytes,
    )


def model_from_message(message: pb.GetModelResponse) -> ModelInfo:
    """Raises InternalError where the server's description makes no sense."""
    return ModelInfo(
        summary=summary_from_message(message.summary),
        input=_input_from_message(message),
        cuts=tuple(_cut_from_message(cut) for cut in message.cuts),
        tasks={task.name: task.kind for task in message.tasks},
        codec_stages=tuple(message.codec_stages),
        max_frame_bytes=message.max_frame_bytes,
    )


def _cut_to_message(cut: CutInfo) -> pb.Cut:
    free = cut.free or ((),) * (1 + len(cut.more))
    return pb.Cut(
        name=cut.name,
        shape=cut.shape,
        dtype=cut.dtype,
        macs_before=cut.macs_before,
        macs_after=cut.macs_after,
        more=[
            pb.Crossing(shape=shape, dtype=dtype, free=axes)
            for (shape, dtype), axes in zip(cut.more, free[1:], strict=True)
        ],
        free=free[0],
    )


def _cut_from_message(cut: pb.Cut) -> CutInfo:
    free = (tuple(cut.free), *(tuple(one.free) for one in cut.more))
    return CutInfo(
        cut.name,
        tuple(cut.shape),
        cut.dtype,
        cut.macs_before,
        cut.macs_after,
        tuple((tuple(one.shape), one.dtype) for one in cut.more),
        free if any(free) else (),
    )


def _input_from_message(message: pb.GetModelResponse) -> ImageInput | TensorInput:
    try:
        if message.HasField("tensor"):
            return TensorInput(tensor="", shape=tuple(message.tensor.shape))
        spec = message.input
        return ImageInput.model_validate(
            {
                "tensor": "",
                "height": spec.height,
                "width": spec.width,
                "resize_short": spec.resize_short,
                "interpolation": spec.interpolation,
                "mean": tuple(spec.mean),
                "std": tuple(spec.std),
                "multiple": spec.multiple,
            }
        )
    except ValueError as error:
        described = " ".join(str(message.tensor if message.HasField("tensor") else message.input).split())
        raise InternalError(f"the server describes an input that makes no sense: {described}") from error


def wanted_to_message(wanted: Wanted) -> pb.FetchBundleRequest:
    return pb.FetchBundleRequest(
        name=wanted.name,
        version=wanted.version,
        fingerprint=bytes.fromhex(wanted.fingerprint),
        edge_only=wanted.edge_only,
        path=wanted.path,
        offset=wanted.offset,
    )


def wanted_from_message(message: pb.FetchBundleRequest) -> Wanted:
    """Raises InvalidRequestError where a required field is missing or malformed."""
    if not message.name:
        raise InvalidRequestError("the request names no model; set `name`")
    if len(message.fingerprint) not in (0, 32):
        raise InvalidRequestError(
            f"the bundle's fingerprint has {len(message.fingerprint)} bytes; it must be the SHA-256, 32 bytes"
        )
    return Wanted(
        message.name, message.version, message.fingerprint.hex(), message.edge_only, message.path, message.offset
    )


def chunk_to_message(chunk: Chunk) -> pb.BundleChunk:
    return pb.BundleChunk(
        path=chunk.path,
        offset=chunk.offset,
        data=chunk.data,
        crc32=zlib.crc32(chunk.data),
        size=chunk.size,
        signature=chunk.signature,
    )


def chunk_from_message(message: pb.BundleChunk) -> Chunk:
    """Raises UnavailableError for bytes that were damaged on the way: trying again helps."""
    if zlib.crc32(message.data) != message.crc32:
        raise UnavailableError(f"a chunk of {message.path or 'the manifest'} was damaged on the way; try again")
    return Chunk(message.path, message.offset, message.data, message.size, message.signature)
