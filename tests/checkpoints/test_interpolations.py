"""`${...}` in configs: looked up in the config, never in the environment."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from speakerdiar.checkpoints.interpolations import resolve
from speakerdiar.errors import WeightsError

SOUND: dict[str, Any] = {
    "size": 4,
    "names": ["a", "b"],
    "inner": {"size": 5, "own": "${.size}", "above": "${..size}", "far": "${size}"},
    "copied": "${inner}",
    "number": "${inner.size}",
    "chained": "${number}",
    "item": "${names[1]}",
    "dotted": "${names.0}",
    "text": "d=${size}, ${names[0]}!",
    "through": "${copied.size}",
    "listed": ["${size}", {"deep": "${names}"}],
    "nothing": None,
    "none": "${nothing}",
    "plain": "$5 {a} ???",
}


def test_values_are_those_that_omegaconf_gives() -> None:
    plain = {**SOUND, "plain": "$5 {a}"}  # ??? is an error there
    assert resolve(plain, "x") == OmegaConf.to_container(OmegaConf.create(plain), resolve=True)


def test_the_config_itself_stays_as_it_is() -> None:
    config = {"a": {"b": ["${c}"]}, "c": [1]}
    resolved = resolve(config, "x")
    assert resolved == {"a": {"b": [[1]]}, "c": [1]}
    assert config == {"a": {"b": ["${c}"]}, "c": [1]}
    resolved["a"]["b"][0].append(2)
    assert resolved["c"] == [1]


def test_the_model_section_of_a_training_run_is_the_whole_config() -> None:
    assert resolve({"size": 4, "a": "${model.size}"}, "x")["a"] == 4
    assert resolve({"size": 4, "model": {"size": 5}, "a": "${model.size}"}, "x")["a"] == 5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${absent}", "the config has no 'absent'"),
        ("${size.more}", "the config has no 'size.more'"),
        ("${names[2]}", "the config has no 'names.2'"),
        ("${names[99999999999999999999]}", "the config has no"),
        ("${.absent}", "the config has no 'inner.absent'"),
        ("a ${absent} b", "the config has no 'absent'"),
        ("${oc.env:HOME}", "the resolver 'oc.env' is refused"),
        ("${env:HOME}", "the resolver 'env' is refused"),
        ("x/${oc.env:HOME}/y", "the resolver 'oc.env' is refused"),
        ("${oc.decode:'1'}", "the resolver 'oc.decode' is refused"),
        ("${oc.create:${size}}", r"it is no plain \$\{path\}"),
        ("${a.${b}}", r"it is no plain \$\{path\}"),
        ("${}", r"it is no plain \$\{path\}"),
        ("${a..b}", r"it is no plain \$\{path\}"),
        ("${size", r"it is no plain \$\{path\}"),
        (r"\${size}", r"it is no plain \$\{path\}"),
        ("${inner.key}", "leads back to itself"),
        ("${inner}", "leads back to itself"),
        ("${..inner.key}", "leads back to itself"),
    ],
)
def test_what_can_not_be_resolved_names_its_key(text: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "a-secret-place")
    config = {"size": 4, "names": ["a", "b"], "inner": {"key": text}}
    with pytest.raises(
        WeightsError, match=rf"model\.yaml: inner\.key: .*{reason}.*Write the value in its place"
    ) as caught:
        resolve(config, "model.yaml")
    assert "a-secret-place" not in str(caught.value)


@pytest.mark.parametrize(
    "config",
    [
        {"a": "${b}", "b": "${a}"},
        {"a": "${b}", "b": "${c}", "c": "x${a}"},
        {"a": {"b": "${c}"}, "c": {"d": "${a}"}},
        {"a": "${a.b}"},
    ],
)
def test_loops_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match="leads back to itself"):
        resolve(config, "x")


@pytest.mark.parametrize(
    "config",
    [
        {"l0": [1] * 9} | {f"l{level}": [f"${{l{level - 1}}}"] * 9 for level in range(1, 30)},
        {"l0": "x" * 9} | {f"l{level}": f"${{l{level - 1}}}" * 9 for level in range(1, 30)},
    ],
    ids=["lists", "text"],
)
def test_bombs_of_interpolations_are_refused_at_once(config: dict[str, Any]) -> None:
    began = time.process_time()
    with pytest.raises(WeightsError, match=r"from the key 'l\d.*interpolations grow beyond 100,000 values"):
        resolve(config, "x")
    assert time.process_time() - began < 5


def test_long_chains_are_refused() -> None:
    config: dict[str, Any] = {f"a{number}": f"${{a{number + 1}}}" for number in range(5000)}
    with pytest.raises(WeightsError, match="nested too deeply"):
        resolve(config | {"a5000": 1}, "x")


_PIECES = st.lists(st.sampled_from(["${", "}", "a", "b", ".", "[0]", ":", "\\", " ", "x"]), max_size=8).map("".join)


@given(st.fixed_dictionaries({"a": _PIECES, "b": st.lists(_PIECES, max_size=2)}))
def test_any_text_is_resolved_or_refused(config: dict[str, Any]) -> None:
    with contextlib.suppress(WeightsError):
        assert "${" not in str(resolve(config, "x"))
