from __future__ import annotations

import pytest
from hypothesis import given
from strategies import names

from speakerdiar.errors import FormatError
from speakerdiar.formats.escapes import as_field, as_line, plain


@given(names())
def test_a_field_is_one_word_and_comes_back(name: str) -> None:
    assert as_field(name).split() == [as_field(name)]
    assert plain(as_field(name)) == name


@given(names())
def test_a_line_is_one_line_without_outer_space_and_comes_back(name: str) -> None:
    assert as_line(name).splitlines() == [as_line(name)]
    assert as_line(name).strip() == as_line(name)
    assert "\t" not in as_line(name)
    assert plain(as_line(name)) == name


@pytest.mark.parametrize("name", ["SPEAKER_00", "100%", "a;;b", "%zz", "é", "a,b", "话"])
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert as_field(name) == as_line(name) == name


def test_an_empty_name_is_no_field() -> None:
    with pytest.raises(FormatError, match="empty id"):
        as_field("")
