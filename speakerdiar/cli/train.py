"""`speakerdiar train`: recordings or clips in, a trained model out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from speakerdiar.errors import SpeakerdiarError

if TYPE_CHECKING:
    from speakerdiar.training.checks import DataReport


class TrainCommand(TyperCommand):
    """A command whose help also has the recipes and all settings, read where they are written."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help of the command, then recipes and settings."""
        super().format_help(ctx, formatter)
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        for title, rows in (("Recipes", _recipes()), ("Settings, with their defaults", _settings())):
            table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 1))
            table.add_column(no_wrap=True)
            table.add_column()
            for row in rows:
                table.add_row(*map(escape, row))
            Console().print(table)


def train(
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE...", help="Settings, recipe=NAME first; see below."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML of settings, such as another training's config.yaml.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only look at the data: what there is, and what is wrong.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table of the data, no progress bar.")] = False,
) -> None:
    """Train or fine-tune a model, and write it as a folder that --model takes.

    speakerdiar train recipe=segmentation data.clips=speech/ data.validation=dev.jsonl output=mine

    The data is looked at first: files that are missing, turns past the end, recordings without turns. A training that
    was stopped goes on when the same command runs again.
    """
    from speakerdiar.cli.progress import fail, warn
    from speakerdiar.training.checks import check_data
    from speakerdiar.training.composing import compose

    try:
        composed = compose(settings or (), config)
        report = check_data(composed.data)
    except SpeakerdiarError as error:
        fail(error)
    if (check or not quiet) and _is_first():
        _show(report)
    for fault in report.faults:
        warn(fault)
    if report.faults or check:
        raise typer.Exit(2 if report.faults else 0)
    composed.trainer.progress &= not quiet
    from speakerdiar.training.runner import train as run

    try:
        model = run(composed)
    except SpeakerdiarError as error:
        fail(error)
    if _is_first():
        _tell(model, Path(composed.output))


def _tell(model: Path, output: Path) -> None:
    """Print where the model is and what it scores."""
    from speakerdiar.training.runner import RESULT

    result = json.loads((output / RESULT).read_text(encoding="utf-8"))
    score = "nothing was held out" if result["score"] is None else f"{result['metric']} {result['score']:.4f}"
    typer.echo(f"{model}: step {result['step']} of {result['steps']}, {score}")


def _is_first() -> bool:
    """Whether this is the only process, or the one of several (DDP) that speaks for all."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "RANK", "SLURM_PROCID"))


def _show(report: DataReport) -> None:
    """Print what there is to learn from on standard error."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for index, column in enumerate(("data", "recordings", "hours", "speakers", "each", "speech", "overlap")):
        table.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in report.rows:
        speech = ("", "") if row.speech is None else (f"{100 * row.speech:.0f} %", f"{100 * row.overlap:.1f} %")
        each = "" if row.each is None else "-".join(map(str, sorted(set(row.each))))
        table.add_row(row.name, str(row.recordings), f"{row.hours:.2f}", str(row.speakers), each, *speech)
    if report.rows:
        Console(stderr=True).print(table)


def _recipes() -> Iterator[tuple[str, str]]:
    """Yield the recipes with what their files say first."""
    from speakerdiar.training.recipes import CONF, RECIPES

    for name in RECIPES:
        text = (CONF / "recipe" / f"{name}.yaml").read_text(encoding="utf-8")
        remarks = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#")]
        yield f"recipe={name}", next((remark for remark in remarks if not remark.startswith("@")), "")


def _settings() -> Iterator[tuple[str, str]]:
    """Yield the settings that all recipes have, with their defaults and meanings."""
    from omegaconf import OmegaConf

    from speakerdiar.config import field_docs
    from speakerdiar.training import config

    parts = {"data.": config.DataConfig, "optim.": config.OptimConfig, "trainer.": config.TrainerConfig}
    for above, cls in (*parts.items(), ("", config.TrainConfig)):
        for name, default in OmegaConf.structured(cls).items_ex(resolve=False):
            if f"{name}." not in (*parts, "recipe."):
                yield f"{above}{name}={json.dumps(_plain(default))}", field_docs(cls)[name]


def _plain(value: Any) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
