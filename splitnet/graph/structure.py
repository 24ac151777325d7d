"""What a tensor is, whatever it is called: a digest of how it is computed from the input and the weights."""

from __future__ import annotations

import hashlib

import onnx

from splitnet.graph.tensors import inputs, subgraphs

INPUT = b"input"
"""Key of every network's input."""

_RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}


def tensor_keys(graph: onnx.GraphProto, label: str) -> dict[str, bytes]:
    """Name of every tensor of `graph` -> its key: equal where operator, attributes, weights and inputs are.

    Nodes that hold graphs, and random ones, are equal to nothing in another graph: `label` must tell graphs apart.
    """
    keys = {"": b"", inputs(graph)[0].name: INPUT}
    keys |= {
        sparse.values.name: _digest(b"sparse", _own(label, sparse.values.name)) for sparse in graph.sparse_initializer
    }
    keys |= {tensor.name: weight_key(tensor) for tensor in graph.initializer}
    for index, node in enumerate(graph.node):
        if node.op_type in _RANDOM or any(True for _ in subgraphs(node)):
            base = _digest(b"opaque", _own(label, str(index)))
        else:
            base = _digest(node_kind(node), *(keys[name] for name in node.input))
        for number, name in enumerate(node.output):
            if name:
                keys[name] = _digest(base, str(number).encode())
    return keys


def node_kind(node: onnx.NodeProto) -> bytes:
    """Digest of `node`'s operator, its attributes and how many outputs it has."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
    parts = [part for attribute in attributes for part in _attribute(attribute)]
    return _digest(domain.encode(), node.op_type.encode(), str(len(node.output)).encode(), *parts)


def weight_key(tensor: onnx.TensorProto) -> bytes:
    """Digest of a tensor's type, dims and values, in whichever field they are stored."""
    shape = str((tensor.data_type, *tensor.dims)).encode()
    if tensor.data_type == onnx.TensorProto.STRING:
        return _digest(b"weights", shape, *tensor.string_data)
    raw = tensor.raw_data if tensor.HasField("raw_data") else onnx.numpy_helper.to_array(tensor).tobytes()
    return _digest(b"weights", shape, raw)


def _attribute(attribute: onnx.AttributeProto) -> tuple[bytes, bytes]:
    plain = onnx.AttributeProto()
    plain.CopyFrom(attribute)
    plain.doc_string = ""
    weights = b""
    if plain.HasField("t"):
        weights = weight_key(plain.t)
        plain.ClearField("t")
    return plain.SerializeToString(deterministic=True), weights


def _own(label: str, name: str) -> bytes:
    return _digest(label.encode(), name.encode())


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()
