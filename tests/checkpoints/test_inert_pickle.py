"""Pickles as plain data: whatever they name, nothing is imported, called or looked up."""

from __future__ import annotations

import contextlib
import enum
import io
import os
import pickle
import subprocess
import sys
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.checkpoints import pickles
from speakerdiar.checkpoints.inert_pickle import Made, Named, read_inert
from speakerdiar.errors import WeightsError

DEEP = 200_000  # Python dies of the hash of tuples nested like that
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def inert(data: bytes) -> Any:
    return read_inert(io.BytesIO(data), "x", {}, lambda id: ("stored", id))


class Reduced:
    """Is unpickled by a call."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


class Told:
    """Is unpickled by its state."""

    ran: list[Any] = []

    def __setstate__(self, state: Any) -> None:
        self.ran.append(state)

    def __getstate__(self) -> Any:
        return {"a": 1}


class Entries(dict[str, Any]):
    """A dict with attributes."""


class Members(list[Any]):
    """A list with attributes."""


class Level(enum.Enum):
    HIGH = 2


plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=9)
    | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4)
        | st.tuples(inner)
        | st.tuples(inner, inner, inner)
        | st.tuples(inner, inner, inner, inner)
    ),
    max_leaves=12,
)


@given(plain_values, st.sampled_from([3, 4, 5]))
def test_plain_values_come_back_as_python_reads_them(value: Any, protocol: int) -> None:
    assert inert(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_is_followed(protocol: int) -> None:
    value = {"a": [1, -2, 2**70, 1.5, True, None], "b": (), "c": (1,), "d": ["é", ("x",) * 5, {3: {}}, 70000, 300]}
    assert inert(pickle.dumps(value, protocol)) == value


def test_what_is_shared_stays_shared() -> None:
    one = [1]
    found = inert(pickle.dumps({"a": one, "b": one}, 2))
    assert found["a"] is found["b"]


def test_sets_are_lists_and_tuples() -> None:
    assert inert(pickle.dumps([{1}, frozenset([2])], 4)) == [[1], (2,)]


@pytest.mark.parametrize("protocol", [2, 4])
def test_objects_keep_what_they_were_to_be_made_of(protocol: int) -> None:
    found = inert(pickle.dumps([Level.HIGH, Told(), Entries(a=1), Members([1, 2])], protocol))
    home = __name__
    assert [made.name for made in found] == [f"{home}.{name}" for name in ("Level", "Told", "Entries", "Members")]
    assert found[0].arguments == (2,)
    assert found[1].state == {"a": 1}
    assert found[2].items == {"a": 1}
    assert found[3].members == [1, 2]
    assert Told.ran == []


def test_arguments_by_name_are_kept() -> None:
    data = b"\x80\x04\x8c\x01m\x8c\x01C\x93K\x01\x85}\x8c\x01kK\x02s\x92."
    found = inert(data)
    assert (found.name, found.arguments) == ("m.C", ((1,), {"k": 2}))


def test_makers_stand_for_names() -> None:
    value = OrderedDict(a=1)
    found = read_inert(io.BytesIO(pickle.dumps(value, 2)), "x", {"collections.OrderedDict": lambda _: {}}, lambda _: 0)
    assert found == {"a": 1}


def test_data_beside_the_pickle_is_asked_for_by_its_id() -> None:
    assert inert(b"\x80\x02X\x01\x00\x00\x00aQ.") == ("stored", "a")


def test_a_key_is_hashed_without_going_into_it() -> None:
    (key,) = inert(pickle.dumps({(1, (2, 3)): 4}, 2))
    assert isinstance(key, Made)
    assert key.arguments == ((1, (2, 3)),)


def calls(marker: Path) -> list[Any]:
    """Objects that leave a marker when they are unpickled, each in a way of its own."""
    write = f"open({str(marker)!r}, 'w').close()"
    shell = f"touch {marker}"
    return [
        Reduced(os.system, (shell,)),
        Reduced(exec, (write,)),
        Reduced(eval, (write,)),
        Reduced(__import__, ("antigravity",)),
        Reduced(subprocess.run, (["touch", str(marker)],)),
        Reduced(list, (), None, iter([Reduced(open, (str(marker), "w"))])),
        Reduced(dict, (), None, None, iter([("a", Reduced(exec, (write,)))])),
        Reduced(defaultdict, (Reduced(exec, (write,)),)),
        Reduced(map, (exec, [write])),
        {"deep": [(Reduced(os.system, (shell,)),)]},
    ]


@pytest.mark.parametrize("which", range(10))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_that_a_pickle_calls_runs(tmp_path: Path, which: int, protocol: int) -> None:
    marker = tmp_path / "marker"
    data = pickle.dumps(calls(marker)[which], protocol)
    modules = set(sys.modules)
    inert(data)
    assert not marker.exists()
    assert "antigravity" not in set(sys.modules) - modules


def test_such_a_pickle_would_have_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for call in (1, 4, 9):
        marker.unlink(missing_ok=True)
        pickle.loads(pickle.dumps(calls(marker)[call], 2))
        assert marker.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'ls'\ntR.",
        b"(S'ls'\nios\nsystem\n.",
        b"(cos\nsystem\nS'ls'\no.",
        b"\x80\x02cbuiltins\ngetattr\ncos\nlistdir\nX\x08\x00\x00\x00__call__\x86R)R)R.",
        b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x01\x85R.",
    ],
)
def test_calls_written_by_hand_are_inert(data: bytes) -> None:
    assert isinstance(inert(data), Made)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x80\x02\x82\x01.", "EXT1 in its pickle, which saved weights don't have"),
        (b"\x80\x05\x97.", "NEXT_BUFFER in its pickle, which saved weights"),
        (b"\x80\x02t.", "TUPLE in its pickle, pop from empty list"),
        (b"\x80\x02h\x05.", "BINGET in its pickle, 5"),
        (b"\x80\x02K\x01)R.", "REDUCE in its pickle, which calls what isn't a name"),
        (b"\x80\x02ca\nb\nK\x01R.", "REDUCE in its pickle, which calls what isn't a name"),
        (b"\x80\x02K\x01K\x02K\x03s.", "SETITEM in its pickle, which puts entries into a int"),
        (b"\x80\x02}K\x01a.", "APPEND in its pickle, which adds members to a dict"),
        (b"\x80\x02}(K\x01u.", "SETITEMS in its pickle, zip"),
        (b"\x80\x04K\x01K\x02\x93.", "STACK_GLOBAL in its pickle, with a name that isn't text"),
        (b"\x80\x02.", r"isn't a whole pickle \(objects are left over\)"),
        (b"\x80\x02K\x01K\x01.", r"isn't a whole pickle \(objects are left over\)"),
        (b"\x80\x02(K\x01.", r"isn't a whole pickle \(objects are left over\)"),
        (b"\x80\x02K\x01", "isn't a whole pickle"),
    ],
)
def test_broken_pickles_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(WeightsError, match=reason):
        inert(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(WeightsError):
        inert(b"\x80\x02" + data)


operation = st.sampled_from([b"(", b")", b"]", b"}", b"0", b"1", b"2", b"t", b"l", b"d", b"a", b"e", b"s", b"u", b"R"])
operation |= st.sampled_from([b"b", b"o", b"Q", b"N", b"K\x01", b"cos\nsystem\n", b"q\x00", b"h\x00", b"\x81", b"\x85"])


@given(st.lists(operation, max_size=40).map(b"".join))
def test_any_operations_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(WeightsError):
        inert(b"\x80\x02" + data + b".")


@pytest.mark.parametrize(
    ("opening", "closing"),
    [(b"", b"\x85"), (b"]", b"a"), (b"}K\x01", b"s"), (b"ca\nb\n", b"\x85R"), (b"ca\nb\n)R", b"b")],
)
def test_deep_nesting_is_followed_and_let_go(opening: bytes, closing: bytes) -> None:
    found = inert(b"\x80\x02" + opening * 30_000 + b"N" + closing * 30_000 + b".")
    assert type(found) in (tuple, list, dict, Made)
    del found


def test_the_text_of_an_object_does_not_go_inside() -> None:
    found = inert(b"\x80\x02" + b"ca\nb\n" * 3000 + b"N" + b"\x85R" * 3000 + b".")
    assert len(repr(found)) < 100


def test_a_deep_key_does_not_overflow_the_stack() -> None:
    assert len(inert(b"\x80\x02}N" + b"\x85" * DEEP + b"Ns.")) == 1


def test_a_pickle_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_STEPS", 100)
    with pytest.raises(WeightsError, match="has more than 100 steps"):
        inert(b"\x80\x02" + b"N0" * 200 + b"N.")


def test_a_far_place_in_the_memo_takes_no_memory() -> None:
    assert inert(b"\x80\x02Nr\xff\xff\xff\x7f0j\xff\xff\xff\x7f.") is None


def test_names_are_text() -> None:
    found = inert(b"\x80\x02cno.such.module\nNever\n.")
    assert isinstance(found, Named)
    assert found.name == "no.such.module.Never"
