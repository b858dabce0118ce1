"""Scores of who spoke when against who really did.

Every measure is a pure function of one recording that returns its components (`der`, `jer`, `detection`,
`overlap_detection`, `speaker_count`, `purity`, `coverage`, `homogeneity`, `completeness`); `.rate` is the figure, `+`
adds recordings. Accumulators (`DiarizationErrorRate`, ...) keep them by file. `score_files` makes the table that the
command line prints. `det_curve` is for verification: trials of one speaker and of two. `docs/guides/scoring.md` says
how collars, overlap and regions are meant.
"""

from speakerdiar.metrics.clusters import (
    Coverage,
    EntropyComponents,
    Purity,
    PurityComponents,
    completeness,
    coverage,
    homogeneity,
    purity,
)
from speakerdiar.metrics.der import DerComponents, DiarizationErrorRate, der, speaker_mapping
from speakerdiar.metrics.detection import (
    DetectionComponents,
    DetectionErrorRate,
    OverlapDetection,
    detection,
    overlap_detection,
)
from speakerdiar.metrics.jer import JaccardErrorRate, JerComponents, jer
from speakerdiar.metrics.report import FileScore, ScoreReport, score_files
from speakerdiar.metrics.rules import Protocol, Rules
from speakerdiar.metrics.speakers import CountComponents, SpeakerCounting, speaker_count
from speakerdiar.metrics.verification import DetCurve, DetectionCost, det_curve, errors_at

__all__ = [
    "CountComponents",
    "Coverage",
    "DerComponents",
    "DetCurve",
    "DetectionComponents",
    "DetectionCost",
    "DetectionErrorRate",
    "DiarizationErrorRate",
    "EntropyComponents",
    "FileScore",
    "JaccardErrorRate",
    "JerComponents",
    "OverlapDetection",
    "Protocol",
    "Purity",
    "PurityComponents",
    "Rules",
    "ScoreReport",
    "SpeakerCounting",
    "completeness",
    "coverage",
    "der",
    "det_curve",
    "detection",
    "errors_at",
    "homogeneity",
    "jer",
    "overlap_detection",
    "purity",
    "score_files",
    "speaker_count",
    "speaker_mapping",
]
