"""Scores recordings and lays the result out for people and programs.

speaker ids don't have to agree; recording ids do:

report = score_files(references, hypotheses, collar=0.25)
print(report.to_table())
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from speakerdiar.annotation import Diarization
from speakerdiar.errors import ConfigError, InputError
from speakerdiar.metrics.cells import cut
from speakerdiar.metrics.der import DerComponents, der_of
from speakerdiar.metrics.jer import JerComponents, jer_of
from speakerdiar.metrics.rules import Convention, Protocol, Rules, Uem
from speakerdiar.metrics.speakers import CountComponents, speakers_of

if TYPE_CHECKING:
    from speakerdiar.metrics.cells import Cells

COLUMNS = ("file", "DER %", "miss %", "FA %", "conf %", "JER %", "speakers", "found", "speech s", "scored s")


@dataclass(frozen=True)
class FileScore:
    """The score of one recording, or of all of them added up.

    Attributes:
        name: the recording's id; `TOTAL` for the sum.
        der: components of the diarization error rate, in seconds.
        jer: components of the Jaccard error rate.
        speakers: how many speakers there are and how many were found.
    """

    name: str
    der: DerComponents = field(default_factory=DerComponents)
    jer: JerComponents = field(default_factory=JerComponents)
    speakers: CountComponents = field(default_factory=CountComponents)

    def __add__(self, other: FileScore) -> FileScore:
        return FileScore(self.name, self.der + other.der, self.jer + other.jer, self.speakers + other.speakers)

    def row(self) -> list[str]:
        """The score as text, one cell for each of the columns of a `ScoreReport`."""
        der = self.der
        shares = [_percent(part, der.total) for part in (der.miss, der.false_alarm, der.confusion)]
        rates = [f"{100 * der.rate:.2f}", *shares, _percent(self.jer.speaker_error, self.jer.speakers)]
        counts = [str(self.speakers.reference), str(self.speakers.hypothesis)]
        return [self.name, *rates, *counts, f"{der.total:.2f}", f"{der.scored:.2f}"]

    def to_json(self) -> dict[str, Any]:
        """The score as plain values: rates as fractions, times in seconds. No reference speaker, no JER (None)."""
        der = self.der
        return {
            "recording_id": self.name,
            "der": der.rate,
            "total": der.total,
            "correct": der.correct,
            "miss": der.miss,
            "false_alarm": der.false_alarm,
            "confusion": der.confusion,
            "scored": der.scored,
            "jer": self.jer.rate if self.jer.speakers else None,
            "speakers": {"reference": self.speakers.reference, "hypothesis": self.speakers.hypothesis},
        }


@dataclass(frozen=True)
class ScoreReport:
    """Scores of many recordings, with what one has to know to compare them.

    Attributes:
        protocol: collar, overlap rule, regions, convention and number of files.
        files: one score a recording, in the order of the references.
        missing: references without a hypothesis, scored as if nobody had been found.
        extra: hypotheses without a reference; they are not scored.
    """

    protocol: Protocol
    files: tuple[FileScore, ...]
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    @property
    def total(self) -> FileScore:
        """All recordings together: components are added, then the rates are taken."""
        return sum(self.files, FileScore("TOTAL"))

    def rows(self) -> list[list[str]]:
        """Return the table as text: the column names, one row a file, the total."""
        return [list(COLUMNS), *(score.row() for score in self.files), self.total.row()]

    def notes(self) -> list[str]:
        """Return the lines that belong below the table: the protocol, the speaker counts, what doesn't match."""
        speakers = self.total.speakers
        lines = [
            f"Scored on {self.protocol}.",
            f"Speaker count right in {speakers.right} of {speakers.files}; mean absolute error {speakers.error:.2f}.",
        ]
        if self.missing:
            lines.append(f"No hypothesis, all counted as missed: {_listed(self.missing)}.")
        if self.extra:
            lines.append(f"No reference, not scored: {_listed(self.extra)}.")
        return lines

    def to_table(self) -> str:
        """Return the whole report as plain text with aligned columns."""
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [_aligned(row, widths) for row in rows]
        return "\n".join([*lines, "", *self.notes()])

    def to_json(self) -> dict[str, Any]:
        """Return the whole report as plain values: rates as fractions, times in seconds."""
        speakers = self.total.speakers
        return {
            "protocol": self.protocol.to_json(),
            "files": [score.to_json() for score in self.files],
            "total": {
                **self.total.to_json(),
                "speaker_count_error": speakers.error,
                "speaker_count_accuracy": speakers.accuracy,
            },
            "missing": list(self.missing),
            "extra": list(self.extra),
        }


def score_files(
    references: Mapping[str, Diarization],
    hypotheses: Mapping[str, Diarization],
    *,
    collar: float = 0.0,
    skip_overlap: bool = False,
    uems: Mapping[str, Uem] | None = None,
    missing: str = "error",
    convention: Convention = "pyannote",
) -> ScoreReport:
    """Score every reference against the hypothesis of the same recording id.

    Args:
        references: the right turns, by recording id.
        hypotheses: the turns to judge, by recording id.
        collar: seconds left out on each side of a reference border (pyannote.metrics: half of its `collar`).
        skip_overlap: leave out where two or more reference turns run.
        uems: regions to score, by recording id; None scores each recording from the first to the last border of
            reference and hypothesis together.
        missing: what to do about a reference without a hypothesis: `error`, or `empty` to count all of it as missed.
        convention: `pyannote`, `pyannote-greedy` or `md-eval`, see `Rules`.

    Raises:
        InputError: a reference has no hypothesis or no regions in `uems`, or there is no reference at all.
        ConfigError: an option can't be used.
    """
    if missing not in ("error", "empty"):
        raise ConfigError(f"missing={missing!r}: choose 'error' or 'empty'.")
    rules = Rules(collar, skip_overlap, convention)
    absent = tuple(name for name in references if name not in hypotheses)
    _check(references, absent if missing == "error" else (), uems)
    files = []
    for name, reference in references.items():
        hypothesis = hypotheses.get(name, Diarization(name, reference.duration))
        files.append(_score(name, cut(reference, hypothesis, rules, None if uems is None else uems[name])))
    extra = tuple(name for name in hypotheses if name not in references)
    protocol = Protocol(rules, len(files), 0 if uems is None else len(files))
    return ScoreReport(protocol, tuple(files), absent, extra)


def _check(references: Mapping[str, Diarization], absent: Iterable[str], uems: Mapping[str, Uem] | None) -> None:
    if not references:
        raise InputError("There is no reference to score against: give at least one recording.")
    if unscored := tuple(absent):
        raise InputError(
            f"No hypothesis for {_listed(unscored)}: add it, or count all of it as missed "
            "(missing='empty', on the command line --missing empty)."
        )
    if uems is not None and (without := [name for name in references if name not in uems]):
        raise InputError(f"The UEM has no regions for {_listed(without)}: add them, or score without a UEM.")


def _score(name: str, cells: Cells) -> FileScore:
    return FileScore(name, der_of(cells), jer_of(cells), speakers_of(cells))


def _percent(part: float, total: float) -> str:
    return f"{100 * part / total:.2f}" if total > 0 else "-"


def _listed(names: Iterable[str], most: int = 5) -> str:
    shown = list(names)
    rest = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(map(repr, shown[:most])) + rest


def _aligned(row: list[str], widths: list[int]) -> str:
    name, *figures = zip(row, widths, strict=True)
    return "  ".join([name[0].ljust(name[1]), *(text.rjust(width) for text, width in figures)])
