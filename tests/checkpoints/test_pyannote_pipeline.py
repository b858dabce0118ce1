"""Configs of pyannote pipelines: honoured, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped, unused-ignore]

from speakerdiar.checkpoints.pyannote_pipeline import PipelinePlan, Reference, is_pipeline, read_pipeline
from speakerdiar.errors import WeightsError


def config(**changes: Any) -> dict[str, Any]:
    params: dict[str, Any] = {
        "clustering": "VBxClustering",
        "segmentation": "$model/segmentation",
        "embedding": "$model/embedding",
    }
    params |= {"plda": "$model/plda", "segmentation_batch_size": 32, "embedding_exclude_overlap": True}
    pipeline = {"name": "pyannote.audio.pipelines.SpeakerDiarization", "params": params | changes.pop("of", {})}
    whole: dict[str, Any] = {"dependencies": {"pyannote.audio": "4.0.0"}, "pipeline": pipeline}
    whole["params"] = {"clustering": {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8}, "segmentation": {"min_duration_off": 0}}
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


def read(tmp_path: Path, content: dict[str, Any]) -> PipelinePlan:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    return read_pipeline(tmp_path)


def test_every_parameter_is_read(tmp_path: Path) -> None:
    params = {"segmentation": {"min_duration_off": 0.5}, "clustering": {"Fa": 0.1, "Fb": 2, "threshold": 0.7}}
    plan = read(tmp_path, config(of={"segmentation_step": 0.25, "embedding_batch_size": 8}, params=params))
    assert (plan.segmentation_step, plan.segmentation_batch_size, plan.embedding_batch_size) == (0.25, 32, 8)
    assert plan.embedding_exclude_overlap
    assert plan.min_duration_off == 0.5
    assert plan.clustering_params == {"Fa": 0.1, "Fb": 2, "threshold": 0.7}
    assert plan.segmentation == Reference("", "segmentation")
    assert plan.plda == Reference("", "plda")


def test_what_is_left_out_has_pyannotes_defaults(tmp_path: Path) -> None:
    plan = read(tmp_path, config(params=None, of={"clustering": "AgglomerativeClustering", "plda": None}))
    assert plan.clustering_params == {"method": "centroid", "min_cluster_size": 12, "threshold": 0.7045654963945799}
    assert (plan.segmentation_step, plan.min_duration_off, plan.plda) == (0.1, 0.0, None)


def test_frozen_parameters_count(tmp_path: Path) -> None:
    plan = read(tmp_path, config(freeze={"clustering": {"Fa": 0.3}}, params={"clustering": {"Fb": 1.5}}))
    assert plan.clustering_params == {"threshold": 0.6, "Fa": 0.3, "Fb": 1.5}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("$model/deep/er", Reference("", "deep/er")),
        ("$model/segmentation@abc", Reference("", "segmentation", "abc")),
        ("pyannote/segmentation-3.0", Reference("pyannote/segmentation-3.0")),
        ("pyannote/segmentation-3.0@v1", Reference("pyannote/segmentation-3.0", "", "v1")),
        ({"checkpoint": "a/b", "revision": "r", "subfolder": "s"}, Reference("a/b", "s", "r")),
        ({"checkpoint": "$model/a", "subfolder": "s"}, Reference("", "a/s")),
    ],
)
def test_references(tmp_path: Path, value: Any, expected: Reference) -> None:
    assert read(tmp_path, config(of={"segmentation": value})).segmentation == expected


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"of": {"segmentation_stepp": 0.2}}, "Did you mean 'segmentation_step'"),
        ({"of": {"clustering": "KMeansClustering"}}, "KMeansClustering"),
        ({"of": {"segmentation": "$model/../secret"}}, "leads out"),
        ({"of": {"segmentation": {"checkpoint": "a/b", "subfolder": "/etc"}}}, "leads out"),
        ({"of": {"segmentation": None}}, "segmentation=None"),
        ({"of": {"embedding_exclude_overlap": "yes"}}, "embedding_exclude_overlap='yes'"),
        ({"params": {"clustering": {"method": "centroid"}}}, "'method'"),
        ({"params": {"segmentation": {"min_duration_on": 0.1}}}, "'min_duration_on'"),
        ({"params": {"speech": {}}}, "'speech'"),
        ({"params": {"clustering": {"Fa": "high"}}}, "Fa='high'"),
        ({"params": {"clustering": [1]}}, "clustering is"),
        ({"preprocessors": {"audio": {"name": "os.system"}}}, "'preprocessors'"),
        ({"pipeline": {"name": "os.system", "params": {}}}, "os.system"),
        ({"pipeline": {"name": "pyannote.audio.pipelines.VoiceActivityDetection"}}, "VoiceActivityDetection"),
    ],
)
def test_what_is_not_known_is_refused_by_name(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(WeightsError, match=r"config\.yaml") as refused:
        read(tmp_path, config(**changes))
    assert named in str(refused.value)


def test_a_folder_without_a_pipeline(tmp_path: Path) -> None:
    assert not is_pipeline(tmp_path)
    with pytest.raises(WeightsError, match=r"has no config\.yaml"):
        read_pipeline(tmp_path)
    (tmp_path / "config.yaml").write_text("model: sortformer\n")
    assert not is_pipeline(tmp_path)
