from __future__ import annotations

import copy
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, ValidationError

from speakerdiar.config import (
    DiarizeConfig,
    InternalDiarizeConfig,
    PostProcessingParams,
    SpeakerCount,
    as_config,
    checked_options,
    field_docs,
    is_count,
    private_copy,
)
from speakerdiar.errors import ConfigError, SpeakerCountError, UnknownOptionError


@dataclass
class WithWindow(DiarizeConfig):
    """A model's own options."""

    window: float = 1.5
    """Seconds in a window."""
    names: Any = None
    """Names to give."""


def test_a_config_becomes_one_of_the_models_own_class() -> None:
    assert as_config(None, WithWindow) == WithWindow()
    assert as_config(DiarizeConfig(batch_size=3), WithWindow) == WithWindow(batch_size=3)
    own = WithWindow(window=2.0)
    assert as_config(own, DiarizeConfig) is own
    assert as_config("no config", WithWindow) == "no config"


def test_the_defaults_are_valid() -> None:
    DiarizeConfig().validate()
    assert DiarizeConfig().speaker_count == SpeakerCount(1, None)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("batch_size", 0, "batch_size=0: give a whole number, 1 or more"),
        ("batch_size", True, "batch_size=True: give a whole number"),
        ("batch_size", 1.0, r"batch_size=1\.0: give a whole number"),
        ("batch_size", "2", "batch_size='2': give a whole number"),
        ("num_workers", -1, "num_workers=-1: give a whole number, 0 or more, or None"),
        ("sample_rate", 0, "sample_rate=0: give a rate in Hz"),
        ("session_len_sec", 0, "session_len_sec=0: give seconds above 0, or -1"),
        ("session_len_sec", float("nan"), "session_len_sec=nan"),
        ("session_len_sec", "10", "session_len_sec='10'"),
        ("progress", 3, "progress=3: give a callable"),
        ("num_speakers", 0, "num_speakers=0: give a whole number, 1 or more, or leave it out"),
        ("min_speakers", 1.5, r"min_speakers=1\.5"),
        ("max_speakers", True, "max_speakers=True"),
    ],
)
def test_a_bad_value_is_named_with_a_remedy(name: str, value: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        DiarizeConfig(**{name: value}).validate()


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_workers", None), ("batch_size", np.int64(4)), ("session_len_sec", 0.5), ("progress", print)],
)
def test_good_values_pass(name: str, value: Any) -> None:
    DiarizeConfig(**{name: value}).validate()


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ((None, 3, 2), "min_speakers=3 is above max_speakers=2: swap them or drop one"),
        ((5, None, 4), "num_speakers=5 lies outside"),
        ((1, 2, None), "num_speakers=1 lies outside min_speakers=2"),
    ],
)
def test_counts_that_contradict_one_another(counts: tuple[int | None, ...], says: str) -> None:
    with pytest.raises(SpeakerCountError, match=says):
        SpeakerCount.of(*counts)


counts = st.none() | st.integers(1, 9)


@given(counts, counts, counts, st.integers(-3, 20))
def test_a_count_is_clipped_to_what_was_asked_for(
    num: int | None, least: int | None, most: int | None, found: int
) -> None:
    allowed = [n for n in range(1, 21) if num in (None, n) and (least or 1) <= n <= (most or 20)]
    if not allowed:
        with pytest.raises(SpeakerCountError):
            SpeakerCount.of(num, least, most)
        return
    count = SpeakerCount.of(num, least, most)
    assert count.clip(found) == min(allowed, key=lambda n: abs(n - found))
    assert count.exact == (allowed[0] if len(allowed) == 1 and (num or most) else None)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, 0])
def test_what_is_no_count(value: object) -> None:
    assert not is_count(value, least=1)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("onset", 1.1, r"onset=1\.1: scores lie between 0 and 1"),
        ("offset", -0.1, r"offset=-0\.1"),
        ("offset", float("nan"), "offset=nan"),
        ("pad_onset", float("inf"), "pad_onset=inf: give a number of seconds"),
        ("min_duration_on", -1, "min_duration_on=-1: give a number of seconds, 0 or more"),
        ("min_duration_off", float("nan"), "min_duration_off=nan"),
    ],
)
def test_post_processing_values(name: str, value: float, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        PostProcessingParams.from_mapping({name: value})


def test_an_option_that_does_not_exist_names_the_closest() -> None:
    with pytest.raises(UnknownOptionError, match=r"PostProcessingParams has no option 'onsett'\. Did you mean 'onset'"):
        PostProcessingParams.from_mapping({"onsett": 0.5})
    with pytest.raises(UnknownOptionError, match=r"WithWindow has no option 'windw'\. Did you mean 'window'"):
        checked_options(WithWindow, {"windw": 1})
    with pytest.raises(UnknownOptionError, match="no option '_internal'"):
        checked_options(DiarizeConfig, {"_internal": None})
    assert checked_options(WithWindow, {"window": 1, "batch_size": 2}) == {"window": 1, "batch_size": 2}


@pytest.mark.parametrize("cls", [DiarizeConfig, PostProcessingParams, WithWindow])
def test_every_public_field_says_what_it_means(cls: type) -> None:
    docs = field_docs(cls)
    public = [field.name for field in fields(cls) if not field.name.startswith("_")]
    assert [name for name in public if not docs.get(name)] == []
    assert all(docs[name].endswith(".") for name in public)


def test_omegaconf_takes_the_class_as_a_schema() -> None:
    config = OmegaConf.structured(DiarizeConfig)
    assert config.batch_size == 1
    assert OmegaConf.merge(config, {"num_speakers": 3}).num_speakers == 3
    with pytest.raises(ConfigKeyError):
        OmegaConf.merge(config, {"num_speeker": 3})
    with pytest.raises(ValidationError):
        OmegaConf.merge(config, {"batch_size": "many"})
    made = OmegaConf.to_object(OmegaConf.structured(WithWindow))
    assert isinstance(made, WithWindow)
    assert made == WithWindow()


def test_a_private_copy_keeps_everything_and_leaves_the_original_alone() -> None:
    names = ["Ann"]
    config = WithWindow(window=3.0, names=names, num_speakers=2)
    config.note = "set on the object"  # type: ignore[attr-defined]
    before = copy.deepcopy(vars(config))
    own = private_copy(config)
    assert type(own) is WithWindow
    assert (own.window, own.num_speakers, own.names) == (3.0, 2, names)
    assert own.note == "set on the object"  # type: ignore[attr-defined]
    assert isinstance(own._internal, InternalDiarizeConfig)
    own.batch_size = 9
    own._internal.temp_dir = "elsewhere"
    assert vars(config) == before
    assert private_copy(config)._internal == InternalDiarizeConfig()


def test_each_copy_has_an_internal_of_its_own() -> None:
    config = DiarizeConfig(_internal=InternalDiarizeConfig(temp_dir="old"))
    one, two = private_copy(config), private_copy(config)
    assert one._internal is not None
    assert two._internal is not None
    assert one._internal is not two._internal
    one._internal.recordings["a"] = 1
    assert two._internal.recordings == {}
    assert config._internal is not None
    assert config._internal.temp_dir == "old"


def test_a_config_without_internal_or_with_a_foreign_one() -> None:
    class Foreign:
        pass

    with pytest.raises(ConfigError, match="Foreign has no `_internal` attribute: derive your config from Diarize"):
        private_copy(Foreign())  # type: ignore[type-var]
    with pytest.raises(ConfigError, match="`_internal` is a dict: leave it None"):
        private_copy(DiarizeConfig(_internal={}))  # type: ignore[arg-type]
