"""Cuts of hand-made graphs, and against a definition that needs no cleverness."""

from __future__ import annotations

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.graph.cuts import MOST_TENSORS, trace


def graph(body: str, outputs: str = "float[1] y") -> onnx.GraphProto:
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[1] x) => ({outputs}) <float[1] k = {{2}}> {{ {body} }}'
    )
    return model.graph


def crossings(body: str, outputs: tuple[str, ...] = ("y",)) -> list[str]:
    parsed = graph(body, ", ".join(f"float[1] {name}" for name in outputs))
    return [name for name, _ in trace(parsed, "x", outputs).crossings]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("a = Relu(x)  b = Abs(a)  y = Neg(b)", ["x", "a", "b", "y"], id="chain"),
        pytest.param("a = Relu(x)  b = Abs(a)  c = Add(a, b)  y = Neg(c)", ["x", "a", "c", "y"], id="skip"),
        pytest.param("a = Relu(x)  b = Abs(x)  y = Add(a, b)", ["x", "y"], id="two branches"),
        pytest.param(
            "s = Relu(x)  a = Abs(s)  b = Neg(s)  j = Add(a, b)  y = Exp(j)", ["x", "s", "j", "y"], id="diamond"
        ),
        pytest.param("c = Neg(k)  d = Exp(c)  a = Add(x, d)  y = Mul(a, d)", ["x", "a", "y"], id="constants"),
        pytest.param("a = Relu(x)  b = Identity(a)  y = Neg(b)", ["x", "a", "b", "y"], id="identity"),
        pytest.param("u = Exp(x)  a = Relu(x)  v = Add(u, a)  y = Neg(a)", ["x", "a", "y"], id="unused nodes"),
        pytest.param("a = Relu(x)  y = Add(a, x)", ["x", "y"], id="the input crosses everything"),
        pytest.param("a = Relu(x)  b = Abs(a)  y = Clip(b, , k)", ["x", "a", "b", "y"], id="optional input left out"),
        pytest.param("a = Relu(x)  b, m = Dropout(a)  y = Neg(b)", ["x", "a", "b", "y"], id="second output unused"),
    ],
)
def test_cuts_of(body: str, expected: list[str]) -> None:
    assert crossings(body) == expected


def test_several_outputs_end_at_the_tensor_they_share() -> None:
    assert crossings("a = Relu(x)  s = Abs(a)  y = Neg(s)  z = Exp(s)", ("y", "z")) == ["x", "a", "s"]


def test_an_output_can_be_the_shared_tensor() -> None:
    assert crossings("a = Relu(x)  s = Abs(a)  y = Neg(s)", ("s", "y")) == ["x", "a", "s"]


def test_an_early_output_ends_the_cuts() -> None:
    assert crossings("a = Relu(x)  b = Abs(a)  y = Neg(b)", ("a", "y")) == ["x", "a"]


def test_outputs_nobody_asks_for_do_not_count() -> None:
    parsed = graph("a = Relu(x)  b = Abs(a)  y = Neg(b)  z = Exp(a)", "float[1] y, float[1] z")
    assert [name for name, _ in trace(parsed, "x", ["y"]).crossings] == ["x", "a", "b", "y"]


def test_what_a_subgraph_captures_crosses() -> None:
    branch = onnx.parser.parse_graph("t () => (float[1] r) { r = Neg(early) }")
    parsed = graph("early = Relu(x)  b = Abs(early)  y = Neg(b)")
    node = onnx.helper.make_node("If", ["k"], ["z"], then_branch=branch, else_branch=branch)
    parsed.node.insert(2, node)
    parsed.node[3].input[0] = "joined"
    parsed.node.insert(3, onnx.helper.make_node("Add", ["b", "z"], ["joined"]))
    assert [name for name, _ in trace(parsed, "x", ["y"]).crossings] == ["x", "early", "joined", "y"]


edges = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=10)


def additions(pairs: list[tuple[int, int]], second: int) -> tuple[onnx.GraphProto, list[str]]:
    """Node i adds two earlier tensors to t{i}; the last and one more are outputs."""
    names, nodes = ["x"], []
    for index, (left, right) in enumerate(pairs):
        nodes.append(onnx.helper.make_node("Add", [names[left % len(names)], names[right % len(names)]], [f"t{index}"]))
        names.append(f"t{index}")
    outputs = sorted({names[-1], names[1 + second % len(pairs)]})
    return onnx.helper.make_graph(nodes, "random", [], []), outputs


def reaches(graph: onnx.GraphProto, start: str, outputs: list[str], without: set[str]) -> bool:
    """Whether a path leads from `start` to an output past the tensors in `without`."""
    seen = {start} - without
    for node in graph.node:
        if not seen.isdisjoint(node.input) and node.output[0] not in without:
            seen.add(node.output[0])
    return not seen.isdisjoint(outputs)


@given(edges, st.integers(0, 9))
def test_a_cut_is_what_every_path_runs_through(pairs: list[tuple[int, int]], second: int) -> None:
    """Without tensor t, no output is reachable exactly if t is a crossing."""
    built, outputs = additions(pairs, second)
    names = ["x", *(node.output[0] for node in built.node)]
    found = {name for name, _ in trace(built, "x", outputs).crossings}
    assert found == {name for name in names if not reaches(built, "x", outputs, {name})}


def test_crossings_know_how_many_nodes_ran_before() -> None:
    assert trace(graph("a = Relu(x)  b = Abs(a)  c = Add(a, b)  y = Neg(c)"), "x", ["y"]).crossings == (
        ("x", 0),
        ("a", 1),
        ("c", 3),
        ("y", 4),
    )


def test_what_crosses_together_in_the_order_in_which_it_was_computed() -> None:
    body = "a = Relu(x)  b = Abs(a)  c = Add(a, b)  d = Exp(c)  e = Neg(c)  f = Sin(c)  g = Add(d, e)  y = Add(f, g)"
    flow = trace(graph(body), "x", ["y"])
    assert flow.together == (
        (("a", "b"), 2),
        (("c", "d"), 4),
        (("c", "d", "e"), 5),
        (("d", "e", "f"), 6),
        (("f", "g"), 7),
    )
    assert [name for name, _ in flow.crossings] == ["x", "a", "c", "y"]


def test_outputs_cross_with_what_is_computed_after_them() -> None:
    flow = trace(graph("a = Relu(x)  s = Abs(x)  y = Neg(s)", "float[1] a, float[1] y"), "x", ["a", "y"])
    assert flow.together == ((("x", "a"), 1), (("a", "s"), 2))


def test_too_many_tensors_are_no_cut() -> None:
    wide = range(MOST_TENSORS + 1)
    body = "  ".join(f"t{k} = Relu(x)" for k in wide) + f"  y = Sum({', '.join(f't{k}' for k in wide)})"
    sizes = [len(names) for names, _ in trace(graph(body), "x", ["y"]).together]
    assert sizes == list(range(2, MOST_TENSORS + 1))


@given(edges, st.integers(0, 9))
def test_a_set_separates_input_and_outputs_and_each_tensor_is_needed(pairs: list[tuple[int, int]], second: int) -> None:
    """No path leads past the set, and from each of its tensors one leads to an output past all the others."""
    built, outputs = additions(pairs, second)
    for together, position in trace(built, "x", outputs).together:
        assert position > 0
        assert not reaches(built, "x", outputs, set(together))
        assert all(reaches(built, name, outputs, set(together) - {name}) for name in together)
