"""`speakerdiar verify`: one speaker or two?"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speakerdiar.errors import ConfigError, SpeakerdiarError

if TYPE_CHECKING:
    from speakerdiar.models.verification import Verifier

DIFFERENT = 3
"""Exit code of `--exit-code` where the speakers differ; 1 and 2 are errors."""


def verify(
    enrol: Annotated[
        str | None, typer.Argument(help="Audio of a speaker: a file, or a folder, glob or list of several.")
    ] = None,
    test: Annotated[str | None, typer.Argument(help="Audio to hold against it.")] = None,
    trials: Annotated[
        Path | None, typer.Option(help="Score a trial list: lines of '1 A B' (0 for two speakers) or 'A B target'.")
    ] = None,
    embedder: Annotated[
        str, typer.Option(help="What turns speech into vectors: ge2e, or the path of a weight file.")
    ] = "ge2e",
    threshold: Annotated[
        float | None, typer.Option(help="Scores from here on count as one speaker; the embedder's own by default.")
    ] = None,
    p_target: Annotated[float, typer.Option(help="--trials: how probable one speaker is, for minDCF.")] = 0.01,
    false_accept: Annotated[
        float | None, typer.Option(help="--trials: print the threshold of this false-accept rate too, such as 0.01.")
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 3 if the speakers differ.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Say whether two recordings are of one speaker, or how well that is told on a list of trials.

    The score is the cosine of two vectors, from -1 to 1. With --trials, the error rates and the threshold at which both
    kinds of error are equally frequent (EER) are printed; give that one as --threshold from then on.
    """
    from speakerdiar.cli.progress import fail

    try:
        _check(enrol, test, trials, exit_code)
        verifier = _verifier(embedder, threshold)
        if trials is not None:
            figures = _measure(trials, verifier, p_target, false_accept, quiet)
            typer.echo(json.dumps(figures, indent=2) if as_json else _lines(figures))
            return
        facts = _compare(str(enrol), str(test), verifier)
    except (SpeakerdiarError, OSError) as error:
        fail(error)
    decision = "same speaker" if facts["same"] else "different speakers"
    lines = f"score:     {facts['score']:.4f}\nthreshold: {facts['threshold']:.4f}\ndecision:  {decision}"
    typer.echo(json.dumps(facts, indent=2) if as_json else lines)
    raise typer.Exit(DIFFERENT if exit_code and not facts["same"] else 0)


def _check(enrol: str | None, test: str | None, trials: Path | None, exit_code: bool) -> None:
    if trials is not None and (enrol is not None or exit_code):
        raise ConfigError(f"--trials {trials}: leave out {'--exit-code' if enrol is None else repr(enrol)}.")
    if trials is None and test is None:
        raise ConfigError("verify compares two sides: name a recording for each, or give --trials LIST.")


def _verifier(embedder: str, threshold: float | None) -> Verifier:
    from speakerdiar.models.verification import Verifier

    return Verifier(embedder, threshold=threshold)


def _compare(enrol: str, test: str, verifier: Verifier) -> dict[str, Any]:
    from speakerdiar.cli.inputs import recordings_of

    return dataclasses.asdict(verifier.verify(recordings_of([enrol]), recordings_of([test])))


def _measure(
    path: Path, verifier: Verifier, p_target: float, false_accept: float | None, quiet: bool
) -> dict[str, Any]:
    """Return the error rates of a trial list, and those at the threshold where one is known."""
    from speakerdiar.cli.progress import counting
    from speakerdiar.formats import trials

    listed = trials.load(path)
    same = [trial.same for trial in listed]
    # What can't be measured is refused before the recordings are read, which may take hours.
    _figures([0.0] * len(listed), same, verifier.threshold, p_target, false_accept)
    with counting("Embedding", quiet) as advance:
        scores = verifier.score_trials(listed, advance)
    return _figures(scores, same, verifier.threshold, p_target, false_accept)


def _figures(
    scores: Any, same: list[bool], threshold: float | None, p_target: float, false_accept: float | None
) -> dict[str, Any]:
    from speakerdiar.metrics import det_curve, errors_at

    curve = det_curve(scores, same)
    least = curve.min_dcf(p_target)
    figures: dict[str, Any] = {
        "trials": {"same": curve.targets, "different": curve.nontargets},
        "eer": {"rate": curve.eer, "threshold": curve.eer_threshold},
        "min_dcf": {"cost": least.cost, "threshold": least.threshold, "p_target": p_target},
        "at": [],
    }
    wanted = [] if threshold is None else [threshold]
    wanted += [] if false_accept is None else [curve.threshold_at(false_accept)]
    for chosen in wanted:
        miss, accepted = errors_at(scores, same, chosen)
        figures["at"].append({"threshold": chosen, "miss": miss, "false_accept": accepted})
    return figures


def _lines(figures: dict[str, Any]) -> str:
    trials, eer, least = figures["trials"], figures["eer"], figures["min_dcf"]
    return "\n".join(
        [
            f"trials: {trials['same']} of one speaker, {trials['different']} of two",
            f"EER:    {100 * eer['rate']:.2f} % at threshold {eer['threshold']:.4f}",
            f"minDCF: {least['cost']:.4f} at threshold {least['threshold']:.4f} (p_target {least['p_target']:g})",
            *(
                f"at threshold {at['threshold']:.4f}: miss {100 * at['miss']:.2f} %, "
                f"false accept {100 * at['false_accept']:.2f} %"
                for at in figures["at"]
            ),
        ]
    )
