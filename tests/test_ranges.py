from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar import ranges
from speakerdiar.config import PostProcessingParams
from speakerdiar.errors import ConfigError
from speakerdiar.ranges import Range

RANGES = (Range(0.1, 0.9), Range(0.02, 1.0, log=True), Range(1, 40, whole=True), Range(-0.1, 0.30001))


@given(st.sampled_from(RANGES), st.floats(-100, 100))
def test_the_nearest_value_lies_inside_and_is_nearest_to_itself(place: Range, value: float) -> None:
    nearest = place.nearest(value)
    assert place.low <= nearest <= place.high
    assert place.nearest(nearest) == nearest
    assert isinstance(nearest, int) or not place.whole
    if place.low <= value <= place.high:
        assert abs(nearest - value) <= (0.5 if place.whole else 1e-3)


def test_values_have_few_digits() -> None:
    assert Range(0, 1).nearest(0.123456) == 0.1235
    assert Range(0, 10, whole=True).nearest(3.7) == 4


@pytest.mark.parametrize(("low", "high", "log"), [(1, 1, False), (2, 1, False), (0, 1, True)])
def test_bounds_that_leave_nothing_are_refused(low: float, high: float, log: bool) -> None:
    with pytest.raises(ConfigError, match=r"(low|high)="):
        Range(low, high, log)


def test_post_processing_is_tuned_by_its_fields_within_what_they_accept() -> None:
    fields = {field.name for field in dataclasses.fields(PostProcessingParams)}
    assert set(ranges.POSTPROCESSING) == fields - {"filter_speech_first"}
    for name, place in ranges.POSTPROCESSING.items():
        for value in (place.low, place.high):
            assert getattr(PostProcessingParams.from_mapping({name: value}), name) == value
    early = ranges.of_postprocessing("onset", early=True)
    assert early == {"postprocessing_params.onset": Range(0.1, 0.9, early=True)}
