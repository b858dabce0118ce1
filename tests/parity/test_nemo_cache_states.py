"""Streaming step by step against NeMo 3.0.0: what comes out, and what the caches hold, with a small random network.

Differences grow slowly from rounding, and jump by tenths when a choice of the cache differs.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from speakerdiar.checkpoints.nemo import read_nemo
from speakerdiar.nn.log_mel import LogMel
from speakerdiar.nn.sortformer import SortformerNetwork, SortformerShape
from speakerdiar.nn.speaker_cache import Chunk, SpeakerCache, pack_step, update_step
from speakerdiar.nn.speaker_cache_params import CacheParams, chunk_spans

SETTINGS = ["low_6_7", "vhigh_340_40_l1", "vhigh_340_40_l0", "tiny_4_2", "tiny_min16", "cfg_default_188", "mid_25_3"]
SHAPE = SortformerShape(
    channels=32, d_model=64, heads=4, layers=2, d_inner=256,
    d_transformer=48, transformer_heads=4, transformer_layers=2, transformer_inner=96,
)  # fmt: skip
STATE = {
    "spkcache": "embeddings",
    "spkcache_preds": "preds",
    "fifo": "fifo",
    "fifo_preds": "fifo_preds",
    "mean_sil_emb": "mean_silence",
}
Steps = list[list[tuple[torch.Tensor, SpeakerCache]]]
"""For each recording, what each step gave and the memory after it."""


class Golden:
    """The golden folder and the network that it was made with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        weights = read_nemo(folder / "v2/tiny_v2.nemo").weights
        self.network = SortformerNetwork(SHAPE).eval()
        self.network.load_state_dict({name: weights[name] for name in self.network.state_dict()})
        self.settings = json.loads((folder / "v2/info.json").read_text())["settings"]
        with gzip.open(folder / "v2/traces.json.gz", "rt", encoding="utf-8") as file:
            self.traces: dict[str, list[dict[str, Any]]] = json.load(file)
        self.mels = {name: self._mels(name) for name in ("long", "mid")}

    def _mels(self, name: str) -> torch.Tensor:
        samples, _ = soundfile.read(self.folder / f"wav/{name}.wav", dtype="float32")
        mels: torch.Tensor = LogMel()(torch.from_numpy(samples))
        return mels

    def params(self, setting: str) -> CacheParams:
        given = self.settings[setting]
        return CacheParams(
            num_speakers=4,
            cache_len=given["spkcache_len"],
            fifo_len=given["fifo_len"],
            update_period=given["spkcache_update_period"],
            chunk_len=given["chunk_len"],
            left_context=given["chunk_left_context"],
            right_context=given["chunk_right_context"],
        )

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        with np.load(self.folder / f"v2/{name}.npz") as file:
            return dict(file)

    @torch.inference_mode()
    def stream(self, setting: str, names: list[str], max_speakers: int | None = None) -> Steps:
        """Stream recordings side by side; a shorter one leaves when it ends."""
        params = self.params(setting)
        caches = [SpeakerCache.empty(params, SHAPE.d_model, max_speakers=max_speakers) for _ in names]
        spans = [list(chunk_spans(len(self.mels[name]), params)) for name in names]
        found: Steps = [[] for _ in names]
        for step in range(max(map(len, spans))):
            going = [row for row in range(len(names)) if step < len(spans[row])]
            chunks = []
            for row in going:
                span = spans[row][step]
                frames = self.network.pre_encode(self.mels[names[row]][None, span.first : span.first + span.mels])[0]
                chunks.append(Chunk(frames, span.left_frames, span.frames))
            packed, lengths = pack_step([caches[row] for row in going], chunks)
            emitted = update_step([caches[row] for row in going], chunks, self.network(packed, lengths))
            for row, preds in zip(going, emitted, strict=True):
                found[row].append((preds, caches[row].clone()))
        return found


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    folder = shared / "golden/nemo"
    if not (folder / "v2/tiny_v2.nemo").is_file():
        pytest.skip(f"no golden outputs of NeMo's streaming model: {folder / 'v2'}")
    return Golden(folder)


def joined(steps: list[tuple[torch.Tensor, SpeakerCache]]) -> NDArray[Any]:
    found: NDArray[Any] = torch.cat([preds for preds, _ in steps]).numpy()
    return found


def check_states(steps: list[tuple[torch.Tensor, SpeakerCache]], arrays: dict[str, NDArray[Any]]) -> None:
    for snap in arrays["snap_steps"]:
        cache = steps[int(snap)][1]
        assert int(cache.silence_frames) == arrays[f"s{snap}_n_sil_frames"]
        assert cache.compressed == (f"s{snap}_spkcache_preds" in arrays)
        for name, attribute in STATE.items():
            if f"s{snap}_{name}" in arrays:
                np.testing.assert_allclose(getattr(cache, attribute), arrays[f"s{snap}_{name}"][0], rtol=0, atol=2e-4)


@pytest.mark.parametrize("name", ["long", "mid"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_every_step_is_nemos(golden: Golden, setting: str, name: str) -> None:
    arrays, trace = golden.arrays(f"sync_{setting}_{name}"), golden.traces[f"sync_{setting}_{name}"]
    [steps] = golden.stream(setting, [name])
    np.testing.assert_allclose(joined(steps), arrays["preds"][0], rtol=0, atol=5e-4)
    check_states(steps, arrays)
    for (preds, cache), expected in zip(steps, trace, strict=True):
        assert len(preds) == expected["emitted"][1] - expected["emitted"][0]
        assert [len(cache.embeddings)] == expected["spkcache_lengths"]
        assert [len(cache.fifo)] == expected["fifo_lengths"]
        assert cache.compressed == expected["has_spkcache_preds"]
        assert [int(cache.silence_frames)] == expected["n_sil_frames"]


@pytest.mark.parametrize("setting", ["tiny_4_2", "vhigh_340_40_l1", "mid_25_3"])
def test_recordings_side_by_side_are_nemos_alone(golden: Golden, setting: str) -> None:
    names = ["mid", "long"]
    for name, steps in zip(names, golden.stream(setting, names), strict=True):
        expected = golden.arrays(f"sync_{setting}_{name}")
        np.testing.assert_allclose(joined(steps), expected["preds"][0], rtol=0, atol=5e-4)
        check_states(steps, expected)


@pytest.mark.parametrize(("setting", "most"), [("tiny_4_2", 2), ("mid_25_3", 3)])
def test_fewer_speakers_are_nemos(golden: Golden, setting: str, most: int) -> None:
    arrays = golden.arrays(f"maxspk{most}_{setting}_long")
    [steps] = golden.stream(setting, ["long"], max_speakers=most)
    np.testing.assert_allclose(joined(steps), arrays["preds"][0], rtol=0, atol=5e-4)
    assert not joined(steps)[:, most:].any()
    check_states(steps, arrays)
