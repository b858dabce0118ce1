"""`speakerdiar tune`: thresholds for recordings of one kind, as a file for `diarize --config`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speakerdiar.errors import ConfigError, SpeakerdiarError

if TYPE_CHECKING:
    from speakerdiar.models.settings import DiarizerSettings
    from speakerdiar.training.tuning import Tuned

STAGES = {"hear": "Hearing the recordings", "speech": "Finding speech", "tune": "Trying values"}


def tune(
    model: Annotated[str, typer.Argument(help="Model to tune; `speakerdiar models` lists them, or weights.")],
    dev_set: Annotated[
        Path, typer.Argument(help="Manifest with rttm_filepath, or a folder of audio with an .rttm beside each file.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="YAML for `diarize --config`; else it is printed.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML of options and thresholds to begin with.")
    ] = None,
    trials: Annotated[int, typer.Option(help="How many values are tried.")] = 100,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Tune this threshold alone, or those of this part, such as clusterer; repeat it for others."),
    ] = None,
    split: Annotated[str, typer.Option(help="Take the manifest's rows of this `split` only.")] = "",
    hold_out: Annotated[
        float, typer.Option(help="Share of the recordings kept out, to see what the values are worth on others.")
    ] = 0.0,
    folds: Annotated[
        int, typer.Option(help="The same with all of them: tune so many times more, each time without another part.")
    ] = 0,
    collar: Annotated[float, typer.Option(help="Seconds not scored on either side of each reference border.")] = 0.0,
    skip_overlap: Annotated[bool, typer.Option("--skip-overlap", help="Score only where one speaker talks.")] = False,
    seed: Annotated[int, typer.Option(help="Of all chance.")] = 0,
    embedder: Annotated[
        str | None, typer.Option(help="Embedder beside a local segmentation model: ge2e, or a file of weights.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Where a network runs, such as cuda; the CPU by default.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar; errors and doubts only.")] = False,
) -> None:
    """Find the thresholds that suit recordings of your own.

    The networks hear each recording once; each trial decides anew on what they made of it. What is printed: the values
    beside those before, and the error rates. Needs the `tune` extra.
    """
    from speakerdiar.cli.progress import fail
    from speakerdiar.metrics import Rules
    from speakerdiar.training import tuning
    from speakerdiar.training.dev_set import read_known

    try:
        checked_target(out)
        rules = Rules(collar, skip_overlap)
        settings = begun(config, model, embedder)
        known = read_known(dev_set, split=split)
        loaded = settings.load(**({} if device is None else {"device": device}))
        with _bars(quiet) as progress:
            tuned = tuning.tune(
                loaded,
                known,
                trials=trials,
                seed=seed,
                rules=rules,
                hold_out=hold_out,
                folds=folds,
                only=only or (),
                config=loaded.DIARIZE_CONFIG(**settings.diarize),
                settings=settings,
                progress=progress,
            )
        show(tuned, out, dev_set, quiet)
    except SpeakerdiarError as error:
        fail(error)


def begun(config: Path | None, model: str, embedder: str | None) -> DiarizerSettings:
    """Return the settings to begin with: those of a file, for this model."""
    from speakerdiar.models.settings import DiarizerSettings

    settings = DiarizerSettings() if config is None else DiarizerSettings.read(config)
    options = settings.options if embedder is None else {**settings.options, "embedder": embedder}
    return replace(settings, model=model, options=options)


def checked_target(out: Path | None) -> None:
    """Raise ConfigError for a file that can't be written to, before any work."""
    if out is not None and out.is_dir():
        raise ConfigError(f"--out {out}: is a folder; name a file, such as {out / 'tuned.yaml'}.")


def show(tuned: Tuned, out: Path | None, dev_set: Path, quiet: bool) -> None:
    """Print the outcome, write the file, and say what speaks against the values."""
    from speakerdiar.training.bench import total
    from speakerdiar.training.tuning_report import doubts, to_table

    rate = 100 * total(tuned.tuned_on.after).der.rate
    about = f"Tuned on {len(tuned.tuned_on.after)} recordings of {dev_set.name}: DER {rate:.2f} %."
    typer.echo(to_table(tuned))
    if out is None:
        typer.echo("\n" + tuned.settings.text(about), nl=False)
    else:
        tuned.settings.write(out, about)
        if not quiet:
            typer.echo(f"written to {out}", err=True)
    for doubt in doubts(tuned):
        typer.secho(doubt, fg=typer.colors.YELLOW, err=True)


@contextmanager
def _bars(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show one bar a stage, one after the other."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def tell(stage: str, done: int, of: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(STAGES[stage], total=of)
            bars.update(tasks[stage], completed=done, total=of)

        yield tell
