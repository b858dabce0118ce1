from __future__ import annotations

from pathlib import Path

import pytest

from speakerdiar.config import PostProcessingParams
from speakerdiar.errors import ConfigError, FormatError, UnknownOptionError
from speakerdiar.postprocessing.params import load_params


def written(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_nemo_keys_and_keeps_defaults(tmp_path: Path) -> None:
    text = "parameters:\n  onset: 0.64\n  offset: 0.74  # above the onset\n  min_duration_on: 1\n  pad_onset: 6e-2\n"
    assert load_params(written(tmp_path, text)) == PostProcessingParams(0.64, 0.74, 0.06, 0.0, 1.0, 0.0, True)
    assert load_params(str(written(tmp_path, "parameters: {}"))) == PostProcessingParams()


@pytest.mark.parametrize(("word", "value"), [("0.0", False), ("1.0", True), ("false", False), ("true", True)])
def test_filter_speech_first_as_number_or_switch(tmp_path: Path, word: str, value: bool) -> None:
    loaded = load_params(written(tmp_path, f"parameters:\n  filter_speech_first: {word}\n"))
    assert loaded.filter_speech_first is value


def test_a_typo_names_the_closest_key(tmp_path: Path) -> None:
    path = written(tmp_path, "parameters:\n  onset: 0.6\n  onsett: 0.9\n  min_duration_on: 1\n")
    with pytest.raises(UnknownOptionError, match=r"'onsett'\. Did you mean 'onset'\?"):
        load_params(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml.*no such file"):
        load_params(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "parameters: [1, 2",
        "parameters:\n  onset: 0.6\n  onset: 0.7\n",
        "parameters:\n  onset: ${nothing}\n",
        "just text",
        "",
        "- onset\n- offset\n",
    ],
)
def test_not_the_right_yaml(tmp_path: Path, text: str) -> None:
    with pytest.raises(FormatError, match=r"params\.yaml: .*parameters:"):
        load_params(written(tmp_path, text))


def test_binary_content(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01\x80RIFF")
    with pytest.raises(FormatError, match=r"params\.yaml: can't be read"):
        load_params(path)


def test_keys_beside_parameters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="stands offset"):
        load_params(written(tmp_path, "parameters:\n  onset: 0.6\noffset: 0.4\n"))
    with pytest.raises(FormatError, match="under `parameters:`"):
        load_params(written(tmp_path, "onset: 0.6\n"))


@pytest.mark.parametrize("value", ["high", "true", "null", "[1]", ".nan", ".inf", "1.5"])
def test_values_that_are_no_thresholds(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=r"params\.yaml: onset="):
        load_params(written(tmp_path, f"parameters:\n  onset: {value}\n"))


def test_a_switch_that_is_no_switch(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"filter_speech_first=0\.5: give true or false"):
        load_params(written(tmp_path, "parameters:\n  filter_speech_first: 0.5\n"))
