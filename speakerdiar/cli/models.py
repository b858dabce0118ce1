"""`speakerdiar models`: what can be loaded."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the models: what they are, their licence, and whether all that they need is installed here."""
    from speakerdiar.models import MODELS

    rows = [
        {
            "name": name,
            "here": info.is_here(),
            "needs": info.needs,
            "licence": info.licence,
            "about": info.about,
            "paper": info.paper,
        }
        for name, info in MODELS.items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for name in ("name", "here", "needs", "licence", "about"):
        table.add_column(name, overflow="fold")
    for row in rows:
        here = "yes" if row["here"] else "no"
        table.add_row(str(row["name"]), here, str(row["needs"] or "-"), str(row["licence"]), str(row["about"]))
    Console().print(table)
