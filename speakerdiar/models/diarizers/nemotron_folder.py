"""Nemotron-3-Diarization in folders of transformers: config.json, model.safetensors, processor_config.json."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import safetensors
import torch

from speakerdiar.errors import MissingExtraError, WeightsError

MODEL_TYPE = "nemotron3_diarization"
CONFIG, WEIGHTS, PROCESSOR, CARD = "config.json", "model.safetensors", "processor_config.json", "README.md"
FILES = (CONFIG, "*.safetensors", "*.safetensors.index.json", "*processor_config.json", CARD)
"""What is fetched of a repository: it may hold the weights in other forms too."""
FRONT_END: Mapping[str, Any] = {
    "sampling_rate": 16000,
    "hop_length": 160,
    "n_fft": 512,
    "win_length": 400,
    "preemphasis": 0.97,
}
_MEL_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_MOST_JSON = 2**20


def library() -> ModuleType:
    """Return transformers.

    Raises:
        MissingExtraError: it isn't installed, or too old to know the model.
    """
    try:
        import transformers
        from transformers import Nemotron3DiarizationForAudioFrameClassification  # noqa: F401
    except ImportError:
        raise MissingExtraError("transformers>=5.18", "nemotron", "Nemotron-3-Diarization") from None
    return transformers


def read_network(folder: Path, dtype: torch.dtype) -> Any:
    """Return the network in a folder; every tensor is accounted for.

    Raises:
        MissingExtraError: transformers isn't installed, or too old.
        WeightsError: a file is missing or broken, or belongs to another model; the message names what doesn't fit.
    """
    transformers = library()
    _check_config(folder)
    with quiet(transformers):
        try:
            network, report = transformers.Nemotron3DiarizationForAudioFrameClassification.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                ignore_mismatched_sizes=True,  # they are in the report
                output_loading_info=True,
            )
        except (safetensors.SafetensorError, OSError, ValueError, RuntimeError, LookupError) as error:
            raise WeightsError(f"{folder}: transformers can't load it ({_line(error)}): get it anew.") from error
    faults = [
        f"{len(report[kind])} tensors {what}: {', '.join(sorted(map(str, report[kind]))[:5])}"
        for kind, what in (
            ("missing_keys", "are missing"),
            ("unexpected_keys", "belong nowhere"),
            ("mismatched_keys", "have another shape"),
        )
        if report[kind]
    ]
    if faults:
        raise WeightsError(f"{folder} doesn't hold the weights that its config.json asks for. {'; '.join(faults)}.")
    return network


def read_mel_type(folder: Path) -> torch.dtype:
    """Return the type of numbers that the front end's filters and window are rounded to.

    Raises:
        WeightsError: the folder asks for another front end than Nemotron's.
    """
    file = next((folder / name for name in (PROCESSOR, "preprocessor_config.json") if (folder / name).is_file()), None)
    if file is None:
        return torch.float32
    config = _read_json(file)
    part = config.get("feature_extractor")
    config = part if isinstance(part, dict) else config  # older folders have it in a file of its own
    for name, value in FRONT_END.items():
        if config.get(name, value) != value:
            raise WeightsError(f"{file}: {name}={config[name]!r} isn't supported: Nemotron has {value!r} there.")
    named = config.get("mel_filters_dtype", "float32")
    if named not in _MEL_TYPES:
        raise WeightsError(f"{file}: mel_filters_dtype={named!r} isn't known: {', '.join(_MEL_TYPES)} are.")
    return _MEL_TYPES[named]


def write_network(folder: Path, network: Any, mel_type: torch.dtype) -> None:
    """Write config, weights and processor to a folder."""
    transformers = library()
    [named] = [name for name, dtype in _MEL_TYPES.items() if dtype == mel_type]
    extractor = transformers.NemotronAsrStreamingFeatureExtractor(
        feature_size=network.config.audio_config.num_mel_bins, mel_filters_dtype=named, **FRONT_END
    )
    with quiet(transformers):
        network.save_pretrained(folder)
        transformers.Nemotron3DiarizationProcessor(extractor).save_pretrained(folder)


@contextlib.contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """No bars and no warnings of transformers; both as before when the block is left."""
    log = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


def _check_config(folder: Path) -> None:
    """Raise WeightsError where transformers' config class wouldn't take what the folder says."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import Nemotron3DiarizationConfig

    config = _read_json(folder / CONFIG)
    if config.get("model_type") != MODEL_TYPE:
        raise WeightsError(f"{folder} holds the model {config.get('model_type')!r}, not {MODEL_TYPE}.")
    try:
        Nemotron3DiarizationConfig(**config)
    except (StrictDataclassError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(f"{folder / CONFIG} can't be used ({_line(error)}): get it anew.") from error


def _read_json(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            config = json.loads(opened.read(_MOST_JSON))
    except OSError as error:
        raise WeightsError(f"{file}: {error.strerror}: give a folder with {CONFIG} and {WEIGHTS}.") from error
    except ValueError as error:
        raise WeightsError(f"{file} can't be read as JSON ({error}): get it anew.") from error
    if not isinstance(config, dict):
        raise WeightsError(f"{file} holds no mapping: get it anew.")
    return config


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
