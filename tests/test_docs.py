"""The Python code on the first pages runs as it stands, from the top of the page to its end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import soundfile

import speakerdiar

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "examples/data"
PAGES = ("README.md", "docs/index.md", "docs/quickstart.md", "docs/concepts.md")
FENCED = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of the recordings that the pages speak of: the first seconds of the demo conversation."""
    samples, rate = soundfile.read(DATA / "conversation.flac", frames=12 * 16_000)
    for name in ("a", "b", "meeting"):
        soundfile.write(tmp_path / f"{name}.wav", samples, rate)
    (tmp_path / "reference.rttm").write_bytes((DATA / "conversation.rttm").read_bytes())
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("recordings")
@pytest.mark.parametrize("page", PAGES)
def test_code_on_page_runs(page: str) -> None:
    code = "\n".join(FENCED.findall((ROOT / page).read_text(encoding="utf-8")))
    names: dict[str, Any] = {"model": speakerdiar.load_model()}
    exec(compile(code, page, "exec"), names)
    assert "model" in code


@pytest.mark.parametrize(
    "page", sorted(p.relative_to(ROOT).as_posix() for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
)
def test_links_of_page_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()] == []
