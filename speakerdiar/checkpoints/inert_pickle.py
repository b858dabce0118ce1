"""Pickles read as plain data: what a pickle wants imported or called is written down, and none of it is done.

Python's unpickler makes objects by calling what a pickle names; PyTorch's restricted one refuses all but a few names.
Files with settings of a class of their own beside the weights need a third way: the operations of the pickle are
followed here one by one, on lists, dicts, tuples, text and numbers alone. A name becomes a `Named`, a call a `Made`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from speakerdiar.checkpoints.pickles import operations
from speakerdiar.errors import WeightsError


@dataclass(frozen=True, eq=False, repr=False)
class Named:
    """A class or function that a pickle names, as `module.name`. It is text: nothing of that name is looked up."""

    name: str


@dataclass(eq=False, repr=False)  # both would go into what it holds, however deep
class Made:
    """An object that a pickle wants made.

    Attributes:
        of: the class or function, mostly a `Named`.
        arguments: what it was to be called with.
        state: what was to become its attributes.
        items: its entries, if it is a kind of dict.
        members: its members, if it is a kind of list.
    """

    of: Any
    arguments: tuple[Any, ...]
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)
    members: list[Any] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of what makes it; "" where that has none."""
        return self.of.name if isinstance(self.of, Named) else ""


Makers = Mapping[str, Callable[[tuple[Any, ...]], Any]]
"""Functions of ours that stand for a name of a pickle; each takes the arguments of a call."""


def read_inert(file: IO[bytes], name: str, makers: Makers, stored: Callable[[Any], Any]) -> Any:
    """Return the object of the pickle that begins here.

    Time and memory grow with the length of the pickle and no faster; nesting of any depth is followed.

    Args:
        file: stands behind the pickle afterwards.
        name: says what is read, in messages.
        makers: what stands for calls of these names. All other calls become `Made`.
        stored: makes what stands for data beside the pickle, of the id that the pickle gives it.

    Raises:
        WeightsError: cut short, broken, too long, or with operations that no saved weights have.
    """
    machine = _Machine(makers, stored)
    for operation, argument in operations(file, name):
        try:
            machine.follow(operation, argument)
        except (LookupError, TypeError, ValueError) as error:
            raise WeightsError(f"{name} is refused: {operation} in its pickle, {error}. Get it anew.") from error
    if len(machine.stack) != 1 or machine.below:
        raise WeightsError(f"{name} isn't a whole pickle (objects are left over): get it anew.")
    return machine.stack[0]


_GIVEN = {f"{size}{kind}" for kind in ("BINUNICODE", "BINBYTES", "BINSTRING") for size in ("", "SHORT_")}
_GIVEN |= {"BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
_GIVEN |= {"UNICODE", "BINUNICODE8", "BINBYTES8", "STRING"}
"""Operations whose argument is the object."""
_FIXED = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_PASSED = {"PROTO", "FRAME", "STOP"}
_SIMPLE = (str, bytes, int, float, type(None), Named, Made)  # bool is an int


class _Machine:
    """The stack, what lies below marks, and the memo; one method an operation, or several of a kind."""

    def __init__(self, makers: Makers, stored: Callable[[Any], Any]) -> None:
        self.makers, self.stored = makers, stored
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def follow(self, operation: str, argument: Any) -> None:
        if operation in _GIVEN:
            self.stack.append(argument)
        elif operation in _FIXED:
            self.stack.append(_FIXED[operation])
        elif operation not in _PASSED:
            action = _ACTIONS.get(operation)
            if action is None:
                raise ValueError("which saved weights don't have")
            action(self, argument)

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        found, self.stack = self.stack, self.below.pop()
        return found

    def pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def pop_mark(self, _: Any) -> None:
        self.since_mark()

    def copy_top(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def new_list(self, _: Any) -> None:
        self.stack.append([])

    def new_dict(self, _: Any) -> None:
        self.stack.append({})

    def tuple_of_1(self, _: Any) -> None:
        self.stack[-1:] = [(self.stack[-1],)]

    def tuple_of_2(self, _: Any) -> None:
        self.stack[-2:] = [(self.stack[-2], self.stack[-1])]

    def tuple_of_3(self, _: Any) -> None:
        self.stack[-3:] = [(self.stack[-3], self.stack[-2], self.stack[-1])]

    def marked_tuple(self, _: Any) -> None:
        found = self.since_mark()
        self.stack.append(tuple(found))

    def marked_list(self, _: Any) -> None:
        found = self.since_mark()
        self.stack.append(found)

    def marked_dict(self, _: Any) -> None:
        found = self.since_mark()
        self.stack.append({})
        _put(self.stack[-1], found)

    def append(self, _: Any) -> None:
        value = self.stack.pop()
        _extend(self.stack[-1], [value])

    def appends(self, _: Any) -> None:
        values = self.since_mark()
        _extend(self.stack[-1], values)

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _put(self.stack[-1], [key, value])

    def set_items(self, _: Any) -> None:
        pairs = self.since_mark()
        _put(self.stack[-1], pairs)

    def keep(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def keep_next(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def recall(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def named(self, written: str) -> None:
        self.stack.append(Named(written.replace(" ", ".", 1)))

    def named_on_stack(self, _: Any) -> None:
        attribute, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(attribute, str) and isinstance(module, str)):
            raise ValueError("with a name that isn't text")
        self.stack.append(Named(f"{module}.{attribute}"))

    def call(self, _: Any) -> None:
        arguments, of = self.stack.pop(), self.stack.pop()
        self.make(of, arguments)

    def call_by_name(self, _: Any) -> None:
        by_name, arguments, of = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.make(of, (arguments, by_name))

    def call_marked(self, _: Any) -> None:
        of, *arguments = self.since_mark()
        self.make(of, tuple(arguments))

    def call_named(self, written: str) -> None:
        arguments = tuple(self.since_mark())
        self.make(Named(written.replace(" ", ".", 1)), arguments)

    def make(self, of: Any, arguments: Any) -> None:
        if not isinstance(of, Named | Made) or not isinstance(arguments, tuple):
            raise ValueError("which calls what isn't a name")
        maker = self.makers.get(of.name) if isinstance(of, Named) else None
        self.stack.append(Made(of, arguments) if maker is None else maker(arguments))

    def build(self, _: Any) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Made):
            self.stack[-1].state = state

    def beside(self, _: Any) -> None:
        self.stack.append(self.stored(self.stack.pop()))


_ACTIONS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.copy_top,
    "EMPTY_LIST": _Machine.new_list,
    "EMPTY_SET": _Machine.new_list,
    "EMPTY_DICT": _Machine.new_dict,
    "TUPLE1": _Machine.tuple_of_1,
    "TUPLE2": _Machine.tuple_of_2,
    "TUPLE3": _Machine.tuple_of_3,
    "TUPLE": _Machine.marked_tuple,
    "FROZENSET": _Machine.marked_tuple,
    "LIST": _Machine.marked_list,
    "DICT": _Machine.marked_dict,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "ADDITEMS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "PUT": _Machine.keep,
    "BINPUT": _Machine.keep,
    "LONG_BINPUT": _Machine.keep,
    "MEMOIZE": _Machine.keep_next,
    "GET": _Machine.recall,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "GLOBAL": _Machine.named,
    "STACK_GLOBAL": _Machine.named_on_stack,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "NEWOBJ_EX": _Machine.call_by_name,
    "OBJ": _Machine.call_marked,
    "INST": _Machine.call_named,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.beside,
}


def _put(target: Any, pairs: list[Any]) -> None:
    entries = target.items if isinstance(target, Made) else target
    if not isinstance(entries, dict):
        raise ValueError(f"which puts entries into a {type(target).__name__}")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        entries[_key(key)] = value


def _key(key: Any) -> Any:
    """Return a key that is hashed without going into it: Python follows nested tuples until its stack overflows."""
    return key if isinstance(key, _SIMPLE) else Made(Named("key"), (key,))


def _extend(target: Any, values: list[Any]) -> None:
    members = target.members if isinstance(target, Made) else target
    if not isinstance(members, list):
        raise ValueError(f"which adds members to a {type(target).__name__}")
    members.extend(values)
