"""What `import speakerdiar` offers, what it costs, and that the papers around the code tell the truth."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import speakerdiar

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "torch",
    "scipy",
    "soundfile",
    "librosa",
    "sklearn",
    "pandas",
    "matplotlib",
    "av",
    "omegaconf",
    "pydantic",
    "sqlalchemy",
)


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    return set(done.stdout.split())


def test_the_probe_sees_what_is_loaded() -> None:
    assert "soundfile" in loaded_by("import soundfile")


@pytest.mark.parametrize(
    "statement", ["import speakerdiar", "import speakerdiar.__main__", "import speakerdiar.cli.main"]
)
def test_import_is_light(statement: str) -> None:
    assert loaded_by(statement) & set(HEAVY) == set()


def test_values_need_neither_torch_nor_scipy() -> None:
    assert loaded_by("from speakerdiar import Diarization, Turn, DiarizeConfig") & set(HEAVY) == set()


@pytest.mark.parametrize("name", speakerdiar.__all__)
def test_public_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(speakerdiar, name)
    assert name in dir(speakerdiar)
    assert name == "__version__" or (value.__doc__ and value.__name__ == name)


def test_public_names_are_sorted_and_unique() -> None:
    assert list(speakerdiar.__all__) == sorted(set(speakerdiar.__all__))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'diarise'"):
        speakerdiar.diarise  # noqa: B018


def test_types_are_shipped() -> None:
    assert (ROOT / "speakerdiar/py.typed").is_file()


def test_version_is_the_newest_of_the_changelog() -> None:
    entries = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert entries[0] == speakerdiar.__version__


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_that_a_page_names_exist(page: str) -> None:
    named = set(re.findall(r"\bmake ([a-z]+)\b", _code_of(ROOT / page)))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert named
    assert named <= targets


def test_readme_shows_its_two_commands() -> None:
    assert {"make demo", "make test"} <= set(_code_of(ROOT / "README.md").splitlines())


def test_makefile_and_constraints_name_one_torch() -> None:
    pins = [
        re.findall(r"\btorch==([\w.]+)", (ROOT / name).read_text(encoding="utf-8"))
        for name in ("Makefile", "constraints.txt")
    ]
    assert pins[0] == pins[1] != []


def _code_of(page: Path) -> str:
    """Return the code of a page: fenced blocks and inline code."""
    text = page.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text))
