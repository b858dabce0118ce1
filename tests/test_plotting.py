from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.errors import FormatError, MissingExtraError
from speakerdiar.frames import FrameGrid, FrameScores
from speakerdiar.plotting import PALETTE, clock, plot_diarization, save_plot

TALK = Diarization("talk", 20.0, (Turn(0, 4, "Ann"), Turn(3, 6, "Bob"), Turn(8, 9.5, "Ann")))
TRUTH = Diarization("talk", 20.0, (Turn(0, 3.9, "xenia"), Turn(3, 6, "yuri"), Turn(12, 13, "zoe")))


def names(ax: Any) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def drawn(ax: Any) -> list[Any]:
    """Rectangles of the turns (zorder 2), one list a row: (start, end)."""
    rows = [c for c in ax.collections if c.get_zorder() == 2]
    return [[(p.vertices[:, 0].min(), p.vertices[:, 0].max()) for p in row.get_paths()] for row in rows]


def crowd(speakers: int, duration: float) -> Diarization:
    length = duration / (2 * speakers)
    starts = np.arange(2 * speakers) * length
    turns = [Turn(s, s + 0.9 * length, f"SPEAKER_{i % speakers:02d}") for i, s in enumerate(starts.tolist())]
    return Diarization("crowd", duration, tuple(turns))


def test_rows_hold_the_turns_and_the_overlap() -> None:
    ax: Any = plot_diarization(TALK)
    assert names(ax) == ["Ann\n5.5 s", "Bob\n3.0 s", "overlap  1.0 s"]
    assert drawn(ax) == [[(0, 4), (8, 9.5)], [(3, 6)], [(3, 4)]]
    assert ax.get_xlim() == (0, 20)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first speaker stands on top
    assert ax.get_xlabel() == "seconds"
    assert ax.get_legend() is None


def test_overlap_is_shaded_over_all_rows() -> None:
    (shade,) = [c for c in plot_diarization(TALK).collections if c.get_zorder() == 1]
    box = shade.get_paths()[0].get_extents()
    assert (box.x0, box.x1, box.y0) == (3, 4, 0)
    assert box.y1 > 2
    alone = Diarization("x", 5.0, (Turn(0, 1, "A"), Turn(1, 2, "B")))
    assert names(plot_diarization(alone)) == ["A\n1.0 s", "B\n1.0 s"]


def test_titles() -> None:
    ax: Any = plot_diarization(TALK)
    assert ax.get_title(loc="left") == "talk"
    assert ax.get_title(loc="right") == "2 speakers · speech 7.5 s of 20.0 s · overlap 13 %"
    assert plot_diarization(TALK, title="Two people").get_title(loc="left") == "Two people"


def test_reference_stands_above_its_match_in_the_same_colour() -> None:
    ax: Any = plot_diarization(TALK, reference=TRUTH)
    expected = ["xenia  3.9 s", "Ann  5.5 s", "yuri  3.0 s", "Bob  3.0 s", "zoe  1.0 s"]
    assert names(ax) == [*expected, "overlap (reference)  0.9 s", "overlap  1.0 s"]
    edges = [c.get_edgecolor()[0].tolist() for c in ax.collections if c.get_zorder() == 2]
    assert edges[0] == edges[1]
    assert edges[2] == edges[3]
    assert edges[0] != edges[2]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["reference", "diarization"]


def test_speakers_without_a_match_have_rows_of_their_own() -> None:
    truth = Diarization("talk", 20.0, (Turn(0, 3.9, "xenia"),))
    assert names(plot_diarization(TALK, reference=truth))[:3] == ["xenia  3.9 s", "Ann  5.5 s", "Bob  3.0 s"]
    nobody = Diarization("talk", 20.0)
    assert names(plot_diarization(nobody, reference=truth)) == ["xenia  3.9 s"]
    assert len(names(plot_diarization(TALK, reference=nobody))) == 4


def test_scores_run_through_the_lane_of_their_speaker() -> None:
    data = np.array([[0.0, 1.0], [0.5, 2.0]], dtype=np.float32)
    ax: Any = plot_diarization(TALK, scores=FrameScores(data, FrameGrid(10.0), ("Bob", "nobody")))
    (line,) = ax.lines
    assert line.get_xdata().tolist() == [5.0, 15.0]
    bob = ax.get_yticks()[1]
    np.testing.assert_allclose(line.get_ydata(), [bob + 0.4, bob])


def test_draws_on_the_axis_it_is_given() -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert plot_diarization(TALK, ax) is ax
    assert TALK.plot(ax=ax) is ax


@pytest.mark.parametrize("duration", [0.0, 0.5, 10.0, 150.0, 1500.0, 6 * 3600.0])
@pytest.mark.parametrize("speakers", [0, 1, 8, 20])
def test_any_size(tmp_path: Path, speakers: int, duration: float) -> None:
    talk = crowd(speakers, duration) if speakers and duration else Diarization("quiet", duration)
    ax: Any = plot_diarization(talk)
    assert len(names(ax)) == len(talk.speakers)
    assert 3 <= sum(ax.get_xlim()[0] <= tick <= ax.get_xlim()[1] for tick in ax.get_xticks()) <= 14
    assert [text.get_text() for text in ax.texts] == ([] if talk else ["no speech"])
    if speakers == 20 and duration > 1500:
        path = save_plot(talk, tmp_path / "talk.png")
        assert path.read_bytes().startswith(b"\x89PNG")


def test_clock_on_the_axis() -> None:
    def labels(duration: float) -> tuple[str, list[str]]:
        ax = plot_diarization(crowd(2, duration))
        return ax.get_xlabel(), [ax.xaxis.get_major_formatter()(tick, 0) for tick in ax.get_xticks()[1:4]]

    assert labels(60) == ("seconds", ["0", "5", "10"])
    assert labels(600) == ("time (m:ss)", ["0:00", "1:00", "2:00"])
    assert labels(7200) == ("time (h:mm:ss)", ["0:00:00", "0:10:00", "0:20:00"])


def test_a_cut_out_piece_keeps_the_recordings_clock() -> None:
    piece = Diarization("talk", 10.0, (Turn(3605.0, 3607.0, "Ann"),), offset=3600.0)
    assert plot_diarization(piece).get_xlim() == (3600, 3610)


def test_turns_beyond_the_audio_are_seen() -> None:
    assert plot_diarization(Diarization("talk", 5.0, (Turn(4, 8, "Ann"),))).get_xlim() == (0, 8)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1:00"), (245, "4:05"), (3599.7, "1:00:00"), (3723, "1:02:03")],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_colours_are_all_different() -> None:
    ax: Any = plot_diarization(crowd(20, 100.0))
    faces = {tuple(c.get_facecolor()[0]) for c in ax.collections if c.get_zorder() == 2}
    assert len(faces) == 20
    assert len(set(PALETTE)) == 7


def test_odd_names_are_written_as_they_are(tmp_path: Path) -> None:
    talk = Diarization("a $ b $", 5.0, (Turn(0, 1, "$\\frac"), Turn(2, 3, "two\nlines"), Turn(3, 4, "n" * 50)))
    assert names(plot_diarization(talk)) == ["$\\frac\n1.0 s", "two lines\n1.0 s", "n" * 27 + "…\n1.0 s"]
    assert save_plot(talk, tmp_path / "odd.png").is_file()


def test_same_call_same_picture(tmp_path: Path) -> None:
    first, second = (save_plot(TALK, tmp_path / name, TRUTH) for name in ("a.png", "b.png"))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != save_plot(TALK, tmp_path / "c.png").read_bytes()


@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".PNG"])
def test_other_formats(tmp_path: Path, suffix: str) -> None:
    assert save_plot(TALK, str(tmp_path / f"talk{suffix}")).stat().st_size > 1000


@pytest.mark.parametrize("name", ["talk.xyz", "talk"])
def test_unknown_format(tmp_path: Path, name: str) -> None:
    with pytest.raises(FormatError, match=r"use .*\.png"):
        save_plot(TALK, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_nothing_global_changes(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    save_plot(TALK, tmp_path / "talk.png", TRUTH)
    assert dict(mpl.rcParams) == before


def test_pyplot_is_not_touched(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from speakerdiar.annotation import Diarization, Turn\n"
        "from speakerdiar.plotting import save_plot\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"save_plot(Diarization('x', 5.0, (Turn(0, 1, 'A'),)), {str(tmp_path / 'x.png')!r})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
    assert (tmp_path / "x.png").is_file()


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r'pip install "speakerdiar\[plot\]"'):
        plot_diarization(TALK)
