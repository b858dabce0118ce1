"""FunASR's weights and the YAML beside them."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml  # type: ignore[import-untyped, unused-ignore]

from speakerdiar.checkpoints.sond import frontend_options, funasr_file, known_weights, read_funasr
from speakerdiar.errors import WeightsError

WEIGHTS = {"encoder.weight": torch.arange(4.0)}


def put(folder: Path, name: str, config: dict[str, Any] | None, **saving: Any) -> Path:
    torch.save(WEIGHTS, folder / name, **saving)
    if config is not None:
        (folder / name).with_suffix(".yaml").write_text(yaml.safe_dump(config))
    return folder / name


@pytest.mark.parametrize("suffix", [".pb", ".pth"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_folder_and_a_file(tmp_path: Path, suffix: str, zipped: bool) -> None:
    file = put(tmp_path, f"sond{suffix}", {"model": "sond"}, _use_new_zipfile_serialization=zipped)
    for place in (tmp_path, file):
        found = read_funasr(place, "sond")
        assert found.path == file
        assert found.config == {"model": "sond"}
        assert found.weights["encoder.weight"].tolist() == [0, 1, 2, 3]


def test_a_file_of_any_name_is_known_by_its_yaml(tmp_path: Path) -> None:
    diarizer = put(tmp_path, "average.pb", {"model": "sond"})
    (tmp_path / "voices").mkdir()
    voices = put(tmp_path / "voices", "epoch3.pth", {"pooling_type": "statistic"})
    (tmp_path / "others").mkdir()
    other = put(tmp_path / "others", "avg_model.pth", None)
    assert (funasr_file(diarizer, "sond"), funasr_file(diarizer, "sv")) == (diarizer, None)
    assert (funasr_file(voices, "sond"), funasr_file(voices, "sv")) == (None, voices)
    assert (funasr_file(other, "sond"), funasr_file(other, "sv")) == (None, None)
    assert funasr_file(tmp_path / "missing.pb", "sond") is None


def test_features_alone_have_a_yaml_too(tmp_path: Path) -> None:
    put(tmp_path, "sond.pb", None)
    (tmp_path / "sond_fbank.yaml").write_text("model: sond\nfrontend: null\nfrontend_conf: {}\n")
    config = read_funasr(tmp_path, "sond").config
    assert frontend_options(config, tmp_path) is None


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    put(tmp_path, "sond.pb", None)
    with pytest.raises(WeightsError, match=r"put sond\.yaml or sond_fbank\.yaml or config\.yaml there"):
        read_funasr(tmp_path, "sond")
    with pytest.raises(WeightsError, match=r"give sv\.pb with sv\.yaml beside it"):
        read_funasr(tmp_path, "sv")
    (tmp_path / "sond.yaml").write_text("model: paraformer\n")
    with pytest.raises(WeightsError, match="describes the model 'paraformer', not a SOND diarizer"):
        read_funasr(tmp_path, "sond")


@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_is_executed(tmp_path: Path, protocol: int) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    (tmp_path / "sond.yaml").write_text("model: sond\n")
    torch.save({"a": Bomb()}, tmp_path / "sond.pb", pickle_protocol=protocol)
    with pytest.raises(WeightsError):
        read_funasr(tmp_path, "sond")
    (tmp_path / "sond.pb").write_bytes(pickle.dumps(Bomb(), protocol))
    with pytest.raises(WeightsError):
        read_funasr(tmp_path, "sond")
    assert not (tmp_path / "ran").exists()


def test_what_no_part_uses_is_dropped_with_a_line(caplog: pytest.LogCaptureFixture) -> None:
    wanted = {"a.weight": torch.zeros(1), "a.num_batches_tracked": torch.tensor(7)}
    with caplog.at_level(logging.INFO, "speakerdiar"):
        found = known_weights({"a.weight": torch.ones(1), "loss.weight": torch.ones(1)}, wanted, "sond.pb")
    assert "sond.pb: 1 tensors belong to no part that is used: loss.weight" in caplog.text
    assert {name: value.tolist() for name, value in found.items()} == {"a.num_batches_tracked": 0, "a.weight": [1.0]}


def test_the_front_end_with_funasrs_defaults() -> None:
    given = {"frontend": "wav_frontend", "frontend_conf": {"fs": 8000, "window": "povey", "upsacle_samples": False}}
    assert frontend_options(given, "x") == {
        "sample_rate": 8000,
        "window": "povey",
        "mel_bins": 80,
        "frame_length": 25,
        "frame_shift": 10,
        "snip_edges": True,
        "scale": 1.0,
    }


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"lfr_m": 5}, "lfr_m=5, and only 1"),
        ({"cmvn_file": "am.mvn"}, r"cmvn_file='am\.mvn', and only None"),
    ],
)
def test_front_ends_that_cant_be_had(setting: dict[str, Any], says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        frontend_options({"frontend": "wav_frontend", "frontend_conf": setting}, "x")
    with pytest.raises(WeightsError, match="frontend='s3prl'"):
        frontend_options({"frontend": "s3prl"}, "x")
