"""Files and functions stay small enough to be read in one go, and no file has a name that says nothing."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path for folder in ("speakerdiar", "tests", "examples", "benchmarks") for path in ROOT.glob(f"{folder}/**/*.py")
)
PACKAGE = [path for path in SOURCES if path.is_relative_to(ROOT / "speakerdiar")]

LONGEST_FILE = 400
LONGEST_FUNCTION = 40
LONGEST_MEDIAN = 12
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "core", "misc", "tools", "stuff"}


def function_lengths(source: str) -> Iterator[tuple[str, int, int]]:
    """Yield (name, line, lines of its body without the docstring) for every function."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        last = node.end_lineno or node.lineno
        yield node.name, node.lineno, last - body[0].lineno + 1 if body else 0


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_something_to_measure() -> None:
    assert len(PACKAGE) > 30


@pytest.mark.parametrize("path", [path for path in SOURCES if path.parts[len(ROOT.parts)] != "tests"], ids=relative)
def test_file_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", PACKAGE, ids=relative)
def test_functions_are_short(path: Path) -> None:
    found = function_lengths(path.read_text(encoding="utf-8"))
    assert [f"{name}, line {line}: {length}" for name, line, length in found if length > LONGEST_FUNCTION] == []


def test_most_functions_are_shorter_still() -> None:
    lengths = [length for path in PACKAGE for _, _, length in function_lengths(path.read_text(encoding="utf-8"))]
    assert statistics.median(lengths) < LONGEST_MEDIAN


def test_a_docstring_does_not_count() -> None:
    source = 'def f():\n    """One.\n\n    Two.\n    """\n    a = 1\n    return a\n'
    assert list(function_lengths(source)) == [("f", 1, 2)]


def test_names_say_something() -> None:
    parts = {part for path in SOURCES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert parts & NAMES_THAT_SAY_NOTHING == set()


def test_no_file_hides_a_package_that_it_may_import() -> None:
    """A room's file called `json.py` or `ray.py` misleads readers and some tools."""
    taken = {"json", "csv", "types", "logging", "ray", "torch", "numpy", "typing", "wave", "av", "matplotlib"}
    assert [relative(path) for path in PACKAGE if path.stem in taken] == []
