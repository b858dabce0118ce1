"""The `speakerdiar` command. Nothing heavy is imported before a command runs, so help comes at once."""

from __future__ import annotations

from typing import Annotated

import typer

from speakerdiar import __version__
from speakerdiar.cli import (
    activity,
    convert,
    diarize,
    embed,
    enroll,
    identify,
    info,
    link,
    models,
    score,
    simulate,
    stream,
    train,
    tune,
    verify,
    voices,
)

app = typer.Typer(
    name="speakerdiar",
    help="Say who spoke when in recordings.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("diarize")(diarize.diarize)
app.command("stream")(stream.stream)
app.command("vad")(activity.vad)
app.command("overlap")(activity.overlap)
app.command("changes")(activity.changes)
app.command("score")(score.score)
app.command("tune")(tune.tune)
app.command("embed")(embed.embed)
app.command("verify")(verify.verify)
app.command("enroll")(enroll.enroll)
app.command("identify")(identify.identify)
app.command("link")(link.link)
app.command("list")(voices.list_voices)
app.command("forget")(voices.forget)
app.add_typer(voices.app, name="voiceprints")
app.add_typer(models.app, name="models")
app.command("simulate")(simulate.simulate)
app.command("train", cls=train.TrainCommand)(train.train)
app.command("convert")(convert.convert)
app.command("info")(info.info)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"speakerdiar {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Say who spoke when in recordings."""
