"""What an ONNX file asks for, read without running it: operators, and links to other files.

The format is protocol buffers (https://onnx.ai/onnx/repo-docs/IR.html); field numbers are those of `onnx.proto`. Only
the parts that lead to nodes and tensors are walked, and no tensor is copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from speakerdiar.errors import WeightsError

PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "tensor": {},
}
"""By kind of message: the fields that hold further messages, and their kinds."""
DEEPEST = 64
"""Messages inside one another; graphs inside the branches of graphs need a few."""
IR_VERSION, GRAPH, NODE_TYPE, NODE_DOMAIN, FUNCTION_NAME, FUNCTION_DOMAIN = 1, 7, 4, 7, 1, 10
TENSOR_NAME, TENSOR_LINK, TENSOR_LOCATION = 8, 13, 14
VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5

Fields = list[tuple[int, "int | memoryview"]]
Operator = tuple[str, str]


@dataclass
class OnnxContents:
    """What the walk over an ONNX file found.

    Attributes:
        operators: domain and name of the operators of all nodes; the domain of ONNX itself is "".
        functions: domain and name of those that the file defines itself, out of others.
        linked: names of tensors whose numbers lie in another file.
    """

    operators: set[Operator] = field(default_factory=set)
    functions: set[Operator] = field(default_factory=set)
    linked: list[str] = field(default_factory=list)


def onnx_contents(data: bytes, name: str) -> OnnxContents:
    """Return what the bytes of an ONNX file ask for; `name` says what is read, in messages.

    Raises:
        WeightsError: it isn't an ONNX file, or is cut short.
    """
    found = OnnxContents()
    try:
        _walk("model", memoryview(data), found, 0)
        given = {number for number, _ in _fields(memoryview(data))}
    except ValueError as error:
        raise WeightsError(f"{name} isn't a whole ONNX file ({error}): get it anew.") from error
    if not {IR_VERSION, GRAPH} <= given:
        raise WeightsError(f"{name} isn't an ONNX file (it has no graph): give a model saved as .onnx.")
    return found


def _walk(kind: str, message: memoryview, found: OnnxContents, depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError(f"more than {DEEPEST} parts inside one another")
    fields = list(_fields(message))
    if kind == "node":
        found.operators.add((_text(fields, NODE_DOMAIN), _text(fields, NODE_TYPE)))
    elif kind == "function":
        found.functions.add((_text(fields, FUNCTION_DOMAIN), _text(fields, FUNCTION_NAME)))
    elif kind == "tensor" and any(n == TENSOR_LINK or (n == TENSOR_LOCATION and value) for n, value in fields):
        found.linked.append(_text(fields, TENSOR_NAME))
    for number, value in fields:
        part = PARTS[kind].get(number)
        if part and isinstance(value, memoryview):
            _walk(part, value, found, depth + 1)


def _text(fields: Fields, number: int) -> str:
    """Return the last text of a field, as readers of the format do; "" where there is none."""
    texts = [value for given, value in fields if given == number and isinstance(value, memoryview)]
    return bytes(texts[-1]).decode() if texts else ""


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field of a message: numbers as such, all else as a view of its bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        size = {EIGHT_BYTES: 8, FOUR_BYTES: 4}.get(wire, 0)
        if wire == LENGTH:
            size, at = _varint(message, at)
        elif not size:
            raise ValueError(f"a field of unknown type {wire}")
        if at + size > len(message):
            raise ValueError(f"a field of {size:,} bytes where {len(message) - at:,} are left")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the number that begins at a byte, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("it ends inside a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 10 bytes")
