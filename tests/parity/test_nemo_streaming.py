"""The streaming diarizer against NeMo 3.0.0: files by every setting, live sessions step by step, several side by side.

Weights are small and random. Differences grow slowly from rounding, and jump by tenths when a choice of the speaker
cache differs.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from speakerdiar.annotation import Turn
from speakerdiar.config import DiarizeConfig
from speakerdiar.mixins.blockwise import Job
from speakerdiar.models.diarizers.streaming_sortformer import StreamingSortformerDiarizer
from speakerdiar.recording import as_recordings
from speakerdiar.updates import StreamingUpdate, joined

TOLERANCE = 5e-4
SETTINGS = ["low_6_7", "vhigh_340_40_l1", "vhigh_340_40_l0", "tiny_4_2", "tiny_min16", "cfg_default_188", "mid_25_3"]
BATCHES = [f"{kind}_{name}" for kind in ("syncbatch", "asyncfix") for name in ("low_6_7", "mid_25_3", "tiny_4_2")]
BATCHES += ["syncbatch_vhigh_340_40_l1", "asyncfix_vhigh_340_40_l1"]
NAMES = ["long", "mid"]


class Listened(StreamingSortformerDiarizer):
    """Notes the scores of every step: for each, one array a recording."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.heard: list[list[NDArray[np.float32]]] = []

    def _advance(self, states: Sequence[Any], blocks: Sequence[Any], last: bool) -> list[NDArray[np.float32]]:
        found = super()._advance(states, blocks, last)
        self.heard.append(found)
        return found


class Golden:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, dict[str, int]] = json.loads((folder / "manifest.json").read_text())[
            "streaming_settings"
        ]
        self.model = Listened.restore_from(folder / "v2/tiny_v2.nemo")

    def wav(self, name: str) -> Path:
        return self.folder / f"wav/{name}.wav"

    def samples(self, name: str) -> NDArray[np.float32]:
        samples, rate = soundfile.read(self.wav(name), dtype="float32")
        assert rate == 16000
        return np.asarray(samples)

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        with np.load(self.folder / f"v2/{name}.npz") as file:
            return dict(file)

    def scores(self, name: str, setting: str, most: int | None = None) -> NDArray[np.float32]:
        """All columns of what diarize() found in a file."""
        return self.diarized(name, setting, most)[0]

    @functools.cache  # noqa: B019  # one object for the module
    def diarized(
        self, name: str, setting: str, most: int | None = None
    ) -> tuple[NDArray[np.float32], tuple[Turn, ...]]:
        told: list[Any] = []
        [found] = self.model.diarize(
            self.wav(name),
            latency=self.settings[setting],
            max_speakers=most,
            include_tensor_outputs=True,
            hook=lambda stage, artifact, done, total: told.append(artifact),
        )
        assert told[-1].grid.step == 0.08
        return told[-1].data, found.turns

    def live(self, name: str, setting: str, pieces: int) -> list[StreamingUpdate]:
        self.model.heard.clear()
        session = self.model.stream(self.settings[setting])
        return [*(session.push(piece) for piece in np.array_split(self.samples(name), pieces)), session.finish()]


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    return Golden(shared / "golden" / "nemo")


def test_every_setting_is_here(golden: Golden) -> None:
    assert set(golden.settings) == set(SETTINGS)
    files = {path.stem for path in (golden.folder / "v2").glob("*.npz")}
    assert {name for name in files if name.startswith(("syncbatch", "asyncfix"))} == set(BATCHES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_files_are_nemos(golden: Golden, setting: str, name: str) -> None:
    wanted = golden.arrays(f"sync_{setting}_{name}")["preds"][0]
    np.testing.assert_allclose(golden.scores(name, setting), wanted, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("batch", BATCHES)
def test_rows_of_nemos_batches(golden: Golden, batch: str) -> None:
    preds = golden.arrays(batch)["preds"]
    for row, name in zip(preds, NAMES, strict=True):
        found = golden.scores(name, batch.partition("_")[2])
        np.testing.assert_allclose(found, row[: len(found)], rtol=0, atol=TOLERANCE)
        assert not row[len(found) :].any()


@pytest.mark.parametrize("setting", ["mid_25_3", "vhigh_340_40_l1"])
def test_files_heard_together_are_nemos_alone(golden: Golden, setting: str) -> None:
    """What a GPU does: padded, masked, and the shorter one leaves first."""
    config = DiarizeConfig(latency=golden.settings[setting], include_tensor_outputs=True)
    recordings = as_recordings([golden.wav("mid"), golden.wav("long")])
    found = golden.model._hear_together([Job(recording, config) for recording in recordings])
    for heard, name in zip(found, ["mid", "long"], strict=True):
        wanted = golden.arrays(f"sync_{setting}_{name}")["preds"][0]
        assert heard.scores is not None
        np.testing.assert_allclose(heard.scores.data, wanted, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("setting", "most"), [("tiny_4_2", 2), ("mid_25_3", 3)])
def test_fewer_speakers_are_nemos(golden: Golden, setting: str, most: int) -> None:
    wanted = golden.arrays(f"maxspk{most}_{setting}_long")["preds"][0]
    found = golden.scores("long", setting, most)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)
    assert not found[:, most:].any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_live_steps_give_what_nemos_steps_give(golden: Golden, setting: str, name: str) -> None:
    arrays = golden.arrays(f"sync_{setting}_{name}")
    updates = golden.live(name, setting, pieces=37)
    scores = [row for (row,) in golden.model.heard]
    borders = np.cumsum([0, *map(len, scores)]).tolist()
    bounds = [tuple(row) for row in arrays["step_bounds"].tolist()]
    # Every step of ours is one of NeMo's; only the end of the audio, which nothing follows, lets the last take several.
    assert list(pairwise(borders))[:-1] == bounds[: len(scores) - 1]
    assert (borders[-2], borders[-1]) == (bounds[len(scores) - 1][0], bounds[-1][1])
    np.testing.assert_allclose(np.concatenate(scores), arrays["preds"][0], rtol=0, atol=TOLERANCE)
    assert joined(updates).turns == golden.diarized(name, setting)[1]


@pytest.mark.parametrize("setting", ["mid_25_3", "cfg_default_188"])
def test_sessions_stepped_together_are_nemos_alone(golden: Golden, setting: str) -> None:
    golden.model.heard.clear()
    batch = golden.model.stream_batch(2, golden.settings[setting])
    rows = [np.array_split(golden.samples(name), 20) for name in NAMES]
    updates = [batch.push(chunks) for chunks in zip(*rows, strict=True)]
    updates.append(batch.finish())
    assert max(map(len, golden.model.heard)) == 2
    for name, row in zip(NAMES, zip(*updates, strict=True), strict=True):
        assert joined(row).turns == golden.diarized(name, setting)[1]
