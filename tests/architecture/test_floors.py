"""A file imports lower floors and its own room, never up (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "speakerdiar"

FLOORS = (
    ("errors",),
    ("config", "recording", "annotation", "frames", "windows", "matching", "updates", "voiceprint", "ranges"),
    ("formats", "audio", "plotting"),
    ("clustering", "postprocessing", "metrics", "simulation"),
    ("mixins", "nn", "checkpoints"),
    ("models",),
    ("streaming", "voiceprints"),
    ("training", "batch"),
    ("server",),
    ("cli",),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# The package's own files stand on top: they name the public parts of every room, and start the command line.
TOP = ("__init__", "__main__")
FLOOR |= dict.fromkeys(TOP, len(FLOORS) - 1)

# docs/decisions/0002-doors-of-values.md: the only imports that go up, and the only files they may stand in.
DOORS = {("annotation", "formats"), ("annotation", "plotting")}


class Import(NamedTuple):
    line: int
    room: str
    inside_function: bool


def room_of(path: Path, package: Path) -> str:
    return path.relative_to(package).parts[0].removesuffix(".py")


def imports_of(source: str, package: str = "speakerdiar") -> Iterator[Import]:
    """Yield every import of a room of the package, but those that only type checkers follow."""
    tree = ast.parse(source)
    for block in typing_only(tree):
        block.body = [ast.Pass()]
    inside = {id(child) for node in ast.walk(tree) if isinstance(node, _FUNCTIONS) for child in ast.walk(node)}
    for node in ast.walk(tree):
        for name in imported_names(node):
            top, *rest = name.split(".")
            if top == package:
                yield Import(getattr(node, "lineno", 0), rest[0] if rest else "__init__", id(node) in inside)


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def typing_only(tree: ast.AST) -> list[ast.If]:
    tests = {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
    return [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) in tests]


def imported_names(node: ast.AST) -> list[str]:
    """Return the modules that a statement imports, by full name; `from speakerdiar import x` imports speakerdiar.x."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        if module == "speakerdiar":
            names = [alias.name for alias in node.names if alias.name != "__version__"]
            return [f"{module}.{name}" if name in FLOOR else module for name in names]
        return [module]
    return []


def breaches(package: Path) -> list[str]:
    found = []
    for path in sorted(package.rglob("*.py")):
        room = room_of(path, package)
        where = path.relative_to(package.parent)
        if room not in FLOOR:
            found.append(f"{where}: {room} stands on no floor")
            continue
        for line, target, inside in imports_of(path.read_text(encoding="utf-8")):
            if target not in FLOOR:
                found.append(f"{where}:{line}: {target} stands on no floor")
            elif not (may_import(room, target) or (inside and (room, target) in DOORS)):
                found.append(f"{where}:{line}: {room} (floor {FLOOR[room]}) imports {target} (floor {FLOOR[target]})")
    return found


def may_import(room: str, target: str) -> bool:
    """Whether the target is the room itself or lies below. The values of floor 1 may know one another."""
    return target == room or FLOOR[target] < FLOOR[room] or FLOOR[target] == FLOOR[room] == 1 or room in TOP


def test_nothing_imports_upwards() -> None:
    assert breaches(PACKAGE) == []


def test_imports_are_absolute() -> None:
    relative = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_values_of_floor_one_form_no_knot() -> None:
    """Files of floor 1 may import one another, as long as no import comes back to where it began."""
    edges = {room: _targets(PACKAGE / f"{room}.py") for room in FLOORS[1]}
    reached = {room: _reach(room, edges) for room in edges}
    assert [room for room in edges if room in reached[room]] == []


def _targets(path: Path) -> set[str]:
    return {found.room for found in imports_of(path.read_text(encoding="utf-8")) if FLOOR[found.room] == 1}


def _reach(room: str, edges: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(edges[room])
    while waiting:
        target = waiting.pop()
        if target not in reached:
            reached.add(target)
            waiting += edges[target]
    return reached


@pytest.mark.parametrize(
    ("file", "source", "breach"),
    [
        ("formats/rttm.py", "from speakerdiar.models import MODELS", "formats (floor 2) imports models (floor 5)"),
        ("metrics/der.py", "def f():\n    import speakerdiar.cli.main", "metrics (floor 3) imports cli (floor 9)"),
        ("audio/files.py", "from speakerdiar import formats", "audio (floor 2) imports formats (floor 2)"),
        ("mixins/a.py", "from speakerdiar import load_model", "mixins (floor 4) imports __init__ (floor 9)"),
        ("annotation.py", "from speakerdiar import formats", "annotation (floor 1) imports formats (floor 2)"),
        (
            "annotation.py",
            "def f():\n    from speakerdiar import audio",
            "annotation (floor 1) imports audio (floor 2)",
        ),
        ("tools/a.py", "import os", "tools stands on no floor"),
    ],
)
def test_a_breach_is_seen(tmp_path: Path, file: str, source: str, breach: str) -> None:
    path = tmp_path / "speakerdiar" / file
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    [found] = breaches(tmp_path / "speakerdiar")
    assert found.endswith(breach)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("annotation.py", "def f():\n    from speakerdiar import formats, plotting"),
        ("formats/rttm.py", "from speakerdiar.annotation import Turn\nfrom speakerdiar.formats import files"),
        ("audio/files.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import speakerdiar.models"),
        ("cli/main.py", "from speakerdiar import __version__"),
    ],
)
def test_what_is_allowed_passes(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / "speakerdiar" / file
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    assert breaches(tmp_path / "speakerdiar") == []
