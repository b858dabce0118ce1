"""Configs as YAML: plain values both ways, and nothing else."""

from __future__ import annotations

import contextlib
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.checkpoints.config_text import format_config, parse_config
from speakerdiar.errors import ConfigError, WeightsError

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["1e5", "-1E-5", "2026-11-21", "=", "<<", "null", "yes", "0x1", "1:30", "${a}", "!!str", "&a", "*a", "- a", "~"]
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(_TEXT, _VALUES, max_size=5))
def test_a_config_comes_back_as_it_was(config: dict[str, Any]) -> None:
    assert parse_config(format_config(config), "x") == config


def test_shared_values_are_written_out() -> None:
    shared = [1, 2]
    text = format_config({"a": shared, "b": shared})
    assert b"&" not in text
    assert parse_config(text, "x") == {"a": [1, 2], "b": [1, 2]}


def test_not_a_number_comes_back() -> None:
    assert math.isnan(parse_config(format_config({"a": math.nan}), "x")["a"])


def test_what_people_mean_is_what_is_read() -> None:
    text = b"dither: 1e-5\nlr: 3E4\ndate: 2026-11-21\nsign: =\nname: 12a\n"
    assert parse_config(text, "x") == {"dither": 1e-5, "lr": 3e4, "date": "2026-11-21", "sign": "=", "name": "12a"}


def test_order_is_kept() -> None:
    assert list(parse_config(format_config({"z": 1, "a": 2}), "x")) == ["z", "a"]


def test_aliases_and_merges_of_reasonable_size_are_read() -> None:
    text = b"a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\n"
    assert parse_config(text, "x") == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}}


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.getcwd",
        "!!python/name:os.system",
        "!!python/object/new:os.system",
        "!!binary",
        "!!set",
        "!own",
    ],
)
def test_tags_are_refused_by_name(tag: str) -> None:
    shown = tag.replace("!!", "tag:yaml.org,2002:")
    with pytest.raises(WeightsError, match=rf"model\.yaml, line 2: the tag '{shown}' is refused"):
        parse_config(f"a: 1\nb: {tag} {{}}\n".encode(), "model.yaml")


def test_alias_bombs_are_refused_at_once() -> None:
    """Nine levels of nine aliases each stand for 400 million values."""
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]" for level in range(1, 9)]
    began = time.process_time()
    with pytest.raises(WeightsError, match="more than 100,000 values once its aliases are written out"):
        parse_config("\n".join(lines).encode(), "x")
    assert time.process_time() - began < 5


def test_merge_bombs_are_refused_at_once() -> None:
    lines = ["l0: &l0 {a: 1, b: 2, c: 3}"]
    lines += [f"l{level}: &l{level} {{<<: [{', '.join([f'*l{level - 1}'] * 9)}]}}" for level in range(1, 9)]
    began = time.process_time()
    with pytest.raises(WeightsError, match="more than 100,000 values"):
        parse_config("\n".join(lines).encode(), "x")
    assert time.process_time() - began < 5


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "&a {*a : 1}"])
def test_aliases_to_what_they_stand_in_are_refused(text: str) -> None:
    with pytest.raises(WeightsError, match="alias to what it stands in"):
        parse_config(text.encode(), "x")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"# nothing\n", "is empty"),
        (b"[1, 2]", "doesn't map names to values"),
        (b"just text", "doesn't map names to values"),
        (b"1: 2", "doesn't map names to values"),
        (b"a: 1\nb: 2\na: 3\n", "the mapping at line 1 has the key 'a' twice"),
        (b"a: 1\n---\nb: 2\n", "can't be read as YAML"),
        (b"a: [1, 2", "can't be read as YAML"),
        (b"a: *b", "can't be read as YAML"),
        (b"a: \xff", "can't be read as YAML"),
        (b"a: \0", "can't be read as YAML"),
        (b'a: !!int ""', "can't be read as YAML"),
        (b"a: !!bool maybe", "can't be read as YAML"),
        (b"a: 0b_", "can't be read as YAML"),
        (b"? [1, 2]\n: 3", "can't be read as YAML"),
        (b"a: " + b"[" * 20_000, "can't be read as YAML"),
    ],
)
def test_broken_text_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(WeightsError, match=rf"^model\.yaml:? .*{reason}|^model\.yaml: {reason}"):
        parse_config(data, "model.yaml")


@given(st.binary(max_size=60) | st.text("{}[]:,&*!|>-'\"%#? ab\n", max_size=60).map(str.encode))
def test_any_bytes_are_a_config_or_refused(data: bytes) -> None:
    with contextlib.suppress(WeightsError):
        assert isinstance(parse_config(data, "x"), dict)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", 1j])
def test_values_that_are_not_plain_are_not_written(value: object) -> None:
    with pytest.raises(ConfigError, match="keep to dicts, lists, text and numbers"):
        format_config({"a": value})


def test_a_config_that_holds_itself_is_not_written() -> None:
    config: dict[str, Any] = {}
    config["a"] = config
    with pytest.raises(ConfigError, match="can't be written"):
        format_config(config)
