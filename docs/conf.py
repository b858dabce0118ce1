from __future__ import annotations

import re
from typing import Any

import speakerdiar

project = "speakerdiar"
author = "The speakerdiar authors"
project_copyright = "The speakerdiar authors"
version = release = speakerdiar.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

html_theme = "furo"
html_title = f"speakerdiar {release}"

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

# Docstrings are plain text with code in single backticks.
default_role = "code"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True


def _as_restructured_text(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Let plain docstrings read well: `Thing`s may have a plural, and an indented block behind a colon is code."""
    text = re.sub(r"(`[^`]+`)(?=(\w)?)", lambda found: found[1] + ("\\ " if found[2] else ""), "\n".join(lines))
    lines[:] = text.split("\n")
    for index, (line, blank, block) in enumerate(zip(lines, lines[1:], lines[2:], strict=False)):
        if line.endswith(":") and not blank and _indent(block) > _indent(line):
            lines[index] += ":"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def setup(app: Any) -> None:
    """Put the step in front of napoleon's."""
    app.connect("autodoc-process-docstring", _as_restructured_text, priority=400)
