"""The speaker cache against NeMo 3.0.0: on random predictions, without a network."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speakerdiar.errors import ConfigError
from speakerdiar.nn.speaker_cache import Chunk, SpeakerCache, update_step
from speakerdiar.nn.speaker_cache_params import CacheParams, chunk_spans
from speakerdiar.nn.speaker_cache_scores import boost_best, compress, log_pred_scores, without_low_scores

NAMES = {
    "num_spks": "num_speakers",
    "spkcache_len": "cache_len",
    "spkcache_update_period": "update_period",
    "spkcache_sil_frames_per_spk": "sil_frames_per_speaker",
    "chunk_left_context": "left_context",
    "chunk_right_context": "right_context",
}
DEFAULTS = {
    "num_speakers": 4,
    "fifo_len": 0,
    "update_period": 188,
    "chunk_len": 188,
    "left_context": 1,
    "right_context": 1,
}
CASES = {"compress": 24, "scores": 3, "update": 6, "feat_loader": 5}


def params_of(given: dict[str, Any]) -> CacheParams:
    return CacheParams(**{**DEFAULTS, **{NAMES.get(name, name): value for name, value in given.items()}})


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    path = shared / "golden/nemo/modules"
    if not path.is_dir():
        pytest.skip(f"no golden outputs of NeMo's modules: {path}")
    return path


@pytest.fixture(scope="module")
def document(folder: Path) -> dict[str, Any]:
    with gzip.open(folder / "modules.json.gz", "rt", encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found


@pytest.fixture(scope="module")
def arrays(folder: Path) -> dict[str, torch.Tensor]:
    with np.load(folder / "modules.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file}


def test_every_case_is_compared(document: dict[str, Any]) -> None:
    kinds = [name.split("_")[0].replace("feat", "feat_loader") for name in document["cases"]]
    assert {kind: kinds.count(kind) for kind in kinds} == CASES


@pytest.mark.parametrize("name", [f"compress_{setting}_{size}" for setting in range(6) for size in range(4)])
def test_compression(document: dict[str, Any], arrays: dict[str, torch.Tensor], name: str) -> None:
    params = params_of(document["cases"][name]["params"])
    rows = zip(
        *(arrays[f"{name}__{part}"] for part in ("emb", "preds", "mean_sil", "out_cache", "out_preds")), strict=True
    )
    for embeddings, preds, silence, cache, cache_preds in rows:
        found, found_preds = compress(embeddings, preds, silence, params)
        assert torch.equal(found, cache)
        assert torch.equal(found_preds, cache_preds)


@pytest.mark.parametrize("case", range(3))
def test_scores(document: dict[str, Any], arrays: dict[str, torch.Tensor], case: int) -> None:
    given = document["cases"][f"scores_{case}"]
    params = params_of(given["params"])
    rows = zip(
        *(arrays[f"scores_{case}__{part}"] for part in ("preds", "log_scores", "disabled", "boost2")), strict=True
    )
    for preds, scored, disabled, boosted in rows:
        found = log_pred_scores(preds, params.pred_score_threshold)
        torch.testing.assert_close(found, scored, rtol=0, atol=1e-6)  # log rounds otherwise on another processor
        assert torch.equal(without_low_scores(scored, preds, given["min_pos_scores_per_spk"]), disabled)
        found = boost_best(scored, given["boost_n"], given["boost_scale"] * math.log(2))
        assert torch.equal(found, boosted)


@pytest.mark.parametrize("case", range(6))
def test_updates(document: dict[str, Any], arrays: dict[str, torch.Tensor], case: int) -> None:
    given = document["cases"][f"update_{case}"]
    caches = [SpeakerCache.empty(params_of(given["params"]), 6) for _ in range(given["B"])]
    for step, expected in enumerate(given["steps"]):
        stored = {part: arrays.get(f"update_{case}_{step:02}__{part}") for part in ("out", *STATE)}
        chunks = arrays[f"update_{case}_{step:02}__chunk"]
        frames = chunks.shape[1] - expected["lc"] - expected["rc"]
        share = [Chunk(row, expected["lc"], frames) for row in chunks]
        out = torch.stack(update_step(caches, share, arrays[f"update_{case}_{step:02}__preds"]))
        assert len(out[0]) == expected["chunk"]
        assert [len(cache.embeddings) for cache in caches] == [expected["cache"]] * len(caches)
        assert [len(cache.fifo) for cache in caches] == [expected["fifo"]] * len(caches)
        assert [int(cache.silence_frames) for cache in caches] == expected["n_sil"]
        assert [cache.compressed for cache in caches] == [expected["compressed"]] * len(caches)
        agree(caches, out, expected["sums"], stored)


STATE = {"fifo": "fifo", "cache": "embeddings", "mean_sil": "mean_silence", "cache_preds": "preds"}


def agree(
    caches: list[SpeakerCache], out: torch.Tensor, sums: list[float | None], stored: dict[str, torch.Tensor | None]
) -> None:
    """Hold outputs and states of both recordings against NeMo's: sums of all, and what is stored of some steps."""
    parts = ["fifo", "fifo_preds", "embeddings", "mean_silence", "preds"]
    states = {part: [getattr(cache, part) for cache in caches] for part in parts}
    summed = [out.double().sum().item()]
    summed += [sum(row.double().sum().item() for row in states[part] if row is not None) for part in parts]
    assert summed == pytest.approx([value or 0.0 for value in sums], abs=1e-4)
    if stored["out"] is not None:
        torch.testing.assert_close(out, stored["out"], rtol=0, atol=0)
    for part, attribute in STATE.items():
        if (expected := stored[part]) is not None:
            torch.testing.assert_close(torch.stack(states[attribute]), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", range(5))
def test_chunks_of_a_recording(document: dict[str, Any], case: int) -> None:
    given = document["cases"][f"feat_loader_{case}"]
    found = list(chunk_spans(given["n_mel_frames"], params_of(given["params"])))
    expected = [(chunk["first"], chunk["frames"], chunk["left"], chunk["right"]) for chunk in given["chunks"]]
    assert [(span.first, span.mels, span.left, span.right) for span in found] == expected


def test_parameters_that_nemo_refuses_are_refused(document: dict[str, Any]) -> None:
    for check in document["parameter_checks"]:
        if check["result"] == "ok":
            params_of(check["params"])
            continue
        with pytest.raises(ConfigError) as caught:
            params_of(check["params"])
        refused = check["result"].split("'")[1]
        assert str(caught.value).startswith(f"{NAMES.get(refused, refused)}=")
