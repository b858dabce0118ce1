"""ClusteringDiarizer on tones: counts are exact, blocks leave no seams, loaders and hooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fakes import RATE, tones
from fakes_roles import FakeEmbedder
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.utils.data import DataLoader, TensorDataset

from speakerdiar.errors import InputError, SpeakerCountError
from speakerdiar.models.diarizers import clustering
from speakerdiar.models.diarizers.clustering import ClusteringDiarizer, _pieces

TALK = tones([(0.3, 4, 0), (4.5, 9, 1)], 10.0)
SHORT = tones([(1, 6, 1)], 7.0)
CLUSTERERS = ["ahc", "spectral", "nmesc"]


def diarizer(clusterer: str = "ahc") -> ClusteringDiarizer:
    return ClusteringDiarizer("energy", FakeEmbedder(), clusterer)


def speakers(audio: NDArray[np.float32], clusterer: str = "ahc", **options: Any) -> int:
    [result] = diarizer(clusterer).diarize(audio, sample_rate=RATE, **options)
    return len(result.speakers)


parts = st.lists(st.tuples(st.floats(0.1, 3), st.floats(0, 1.5), st.integers(0, 3)), min_size=1, max_size=5)


def conversation(parts: list[tuple[float, float, int]]) -> NDArray[np.float32]:
    turns, now = [], 0.0
    for length, gap, speaker in parts:
        turns.append((now, now + length, speaker))
        now += length + gap
    return tones(turns, now + 0.3)


@pytest.mark.parametrize("clusterer", CLUSTERERS)
@pytest.mark.parametrize("option", ["num_speakers", "min_speakers", "max_speakers"])
@settings(max_examples=12)
@given(parts=parts, wanted=st.integers(1, 6))
def test_counts_are_met_or_refused(
    clusterer: str, option: str, parts: list[tuple[float, float, int]], wanted: int
) -> None:
    audio = conversation(parts)
    try:
        found = speakers(audio, clusterer, **{option: wanted})
    except SpeakerCountError:  # of too little speech for so many
        assert option != "max_speakers"
        return
    met = {"num_speakers": found == wanted, "min_speakers": found >= wanted, "max_speakers": found <= wanted}
    assert met[option] or found == 0


@pytest.mark.parametrize("clusterer", CLUSTERERS)
@pytest.mark.parametrize("wanted", [1, 2, 5, 11])
def test_counts_are_met_where_all_windows_are_alike(clusterer: str, wanted: int) -> None:
    assert speakers(tones([(0, 5, 1)], 5.2), clusterer, num_speakers=wanted) == wanted


def test_more_speakers_than_speech_allows_is_refused_with_the_reason() -> None:
    with pytest.raises(SpeakerCountError, match=r"500 speakers were asked for, and 0\.\d+ s of speech were found"):
        speakers(tones([(0.2, 0.8, 0)], 1.0), num_speakers=500)


def test_windows_of_silence_inside_speech_are_no_error() -> None:
    audio = tones([(0, 0.5078125, 0), (1.0078125, 1.1953125, 0)], 1.4953125)
    [result] = diarizer("nmesc").diarize(audio, sample_rate=RATE, num_speakers=4, confidence=True)
    assert len(result.speakers) == 4
    assert {len(vector) for vector in result.embeddings.values()} == {FakeEmbedder().dimension}
    assert all(turn.confidence is not None for turn in result)


def test_silence_is_nobody_for_any_count() -> None:
    assert speakers(np.zeros(2 * RATE, np.float32), num_speakers=2) == 0


def test_counts_that_come_with_recordings_hold_unless_the_caller_says_otherwise(tmp_path: Path) -> None:
    path = str(tmp_path / "talk.wav")
    soundfile.write(path, TALK, RATE)
    manifest = tmp_path / "set.json"
    manifest.write_text(json.dumps({"audio_filepath": path, "num_speakers": 3}) + "\n")
    model = diarizer()
    for audio in (manifest, {"audio_filepath": path, "num_speakers": 3}):
        assert len(model.diarize(audio)[0].speakers) == 3
        assert len(model.diarize(audio, num_speakers=1)[0].speakers) == 1
        assert len(model.diarize(audio, max_speakers=2)[0].speakers) == 2


@given(data=st.data())
def test_pieces_hold_their_windows_wherever_blocks_end(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 3000), "samples")
    hop = data.draw(st.integers(1, 50), "hop")
    margin = data.draw(st.integers(0, 5), "margin") * hop
    block = data.draw(st.integers(1, 1000), "block")
    windows = st.tuples(st.integers(0, total).map(lambda first: first // hop * hop), st.integers(1, 500))
    drawn = data.draw(st.lists(windows, max_size=12), "windows")
    spans = np.array(sorted(((f, f + n) for f, n in drawn), key=lambda span: span[1]), np.int64).reshape(-1, 2)
    audio = np.arange(total, dtype=np.float32)
    blocks = (audio[first : first + block] for first in range(0, total, block))
    done = 0
    for piece, first, chosen in _pieces(blocks, spans, hop, margin):
        assert first % hop == 0
        assert chosen.start == done
        done = chosen.stop
        np.testing.assert_array_equal(piece, audio[first : first + len(piece)])
        for start, end in spans[chosen]:
            assert first <= max(0, start - margin)
            assert first + len(piece) >= min(total, end + margin)
    assert done == len(spans)


@pytest.mark.parametrize("seconds", [0.05, 0.37, 1.0, 3.3])
def test_the_length_of_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    whole = artifacts()
    monkeypatch.setattr(clustering, "BLOCK_SECONDS", seconds)
    in_blocks = artifacts()
    np.testing.assert_array_equal(in_blocks["speech"].data, whole["speech"].data)
    np.testing.assert_array_equal(in_blocks["embeddings"], whole["embeddings"])


def artifacts() -> dict[str, Any]:
    """What the hook is given."""
    told: dict[str, Any] = {}

    def hook(stage: str, artifact: Any, done: float, total: float | None) -> None:
        assert total is None or done <= total
        if artifact is not None:
            told[stage] = artifact

    diarizer().diarize(TALK, sample_rate=RATE, hook=hook)
    return told


def test_rows_of_a_loader_are_recordings() -> None:
    waveforms = torch.zeros(2, len(TALK))
    waveforms[0], waveforms[1, : len(SHORT)] = torch.from_numpy(TALK), torch.from_numpy(SHORT)
    rows = TensorDataset(waveforms, torch.tensor([len(TALK), len(SHORT)]))
    model = diarizer()
    expected = model.diarize([TALK, SHORT], sample_rate=RATE)
    for batch_size in (1, 2):
        assert model.diarize(DataLoader(rows, batch_size=batch_size)) == expected
    asked = model.diarize(DataLoader(rows, batch_size=2), num_speakers=2)
    assert [len(result.speakers) for result in asked] == [2, 2]


def test_a_loader_of_something_else_is_refused() -> None:
    with pytest.raises(InputError, match=r"waveforms \(B, T\), lengths \(B,\)"):
        diarizer().diarize(DataLoader(TensorDataset(torch.zeros(2, 100))))


def test_scores_and_confidence_come_when_asked_for() -> None:
    [plain] = diarizer().diarize(TALK, sample_rate=RATE)
    [full] = diarizer().diarize(TALK, sample_rate=RATE, include_tensor_outputs=True, confidence=True)
    assert plain.scores is None
    assert plain.confidence is None
    assert full.scores is not None
    assert full.scores.speakers == full.speakers == plain.speakers
    assert full.confidence is not None
    assert len(full.confidence.scores) == len(full.scores.data)
    assert all(turn.confidence is not None and 0 <= turn.confidence <= 1 for turn in full)
