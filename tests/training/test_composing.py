"""Settings come from defaults, recipe, file and overrides, in this order, and each key and value is checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from speakerdiar.errors import ConfigError, InputError, UnknownOptionError
from speakerdiar.formats import files
from speakerdiar.training.composing import as_tree, compose, flattened, recipe_class
from speakerdiar.training.config import TrainConfig
from speakerdiar.training.recipes import CONF, RECIPES
from speakerdiar.training.resuming import keep_config
from speakerdiar.training.sond_recipe import SondOptions


def test_the_recipe_overrides_defaults_and_overrides_the_recipe() -> None:
    plain = compose(["recipe=sond"])
    assert isinstance(plain, TrainConfig)
    assert isinstance(plain.recipe, SondOptions)
    assert (plain.data.batch_size, plain.optim.decay) == (8, TrainConfig().optim.decay)
    own = compose(["recipe=sond", "data.batch_size=4", "optim.rate=1e-5", "recipe.slots=7", "data.batch_size=5"])
    assert (own.data.batch_size, own.optim.rate, own.recipe.slots) == (5, 1e-5, 7)
    assert own.recipe.units == plain.recipe.units


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_composes(name: str) -> None:
    config = compose([f"recipe={name}"])
    assert config.recipe.name == name
    assert isinstance(config.recipe, recipe_class(name).Options)
    first, *_ = (CONF / "recipe" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert first == "# @package _global_"


def test_values_of_all_kinds() -> None:
    config = compose(
        [
            *("recipe=sond", "data.train=a.json", "data.clips=[a, b c]", "data.noise=[]", "optim.rate=null"),
            *("trainer.devices=2", "trainer.progress=false", "recipe.talkers=[1, 4]", "output=007", "init=null"),
        ]
    )
    assert (config.data.train, config.data.clips, config.data.noise) == (["a.json"], ["a", "b c"], [])
    assert (config.optim.rate, config.trainer.devices, config.trainer.progress) == (None, 2, False)
    assert (config.recipe.talkers, config.output, config.init) == ([1, 4], "007", None)


@settings(max_examples=6)  # what Hydra does takes a while
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="$"), min_size=1))
@example('C:\\d\\"x"\\')
@example("a=b, {c: d}")
@example("[x")
def test_any_path_stands_for_itself(path: str) -> None:
    if path != "null":
        assert compose(["recipe=sond", f"output={path}"]).output == path


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.max_step=3", r"no option 'trainer\.max_step'\. Did you mean 'trainer\.max_steps'\?"),
        ("recipe.slotz=3", r"Did you mean 'recipe\.slots'\?"),
        ("trainer=3", "no option 'trainer'"),
        ("+new=3", r"no option '\+new'"),
    ],
)
def test_a_typo_in_a_key(override: str, message: str) -> None:
    with pytest.raises(UnknownOptionError, match=message):
        compose(["recipe=sond", override])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["recipe=sonf"], r"recipe=sonf: .* Did you mean 'sond'\? Recipes: segmentation"),
        ([], "recipe=: give a recipe"),
        (["recipe=sond", "trainer.max_steps=many"], r"trainer\.max_steps: Value 'many' .* Integer"),
        (["recipe=sond", "optim.rate=[1]"], r"optim\.rate: "),
        (["recipe=sond", "data.held_out=[1"], r"data\.held_out=\[1: can't be read"),
        (["recipe=sond", "trainer.max_steps=0"], r"trainer\.max_steps=0: give a whole number, 1 or more"),
        (["recipe=sond", "trainer.clip=-1"], r"trainer\.clip=-1"),
        (["recipe=sond", "trainer.ema=1"], r"trainer\.ema=1"),
        (["recipe=sond", "trainer.precision=bf16"], r"trainer\.precision='bf16': give one of 32-true"),
        (["recipe=sond", "trainer.accelerator=abacus"], r"trainer\.accelerator='abacus'"),
        (["recipe=sond", "seed"], "'seed': settings are key=value"),
    ],
)
def test_values_that_cannot_be(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose(overrides)


def test_a_file_comes_before_overrides(tmp_path: Path) -> None:
    config = compose(["recipe=sond", "recipe.slots=9", "trainer.max_steps=7", f"output={tmp_path}"])
    saved = keep_config(config)
    assert compose([], saved) == config
    assert compose(["trainer.max_steps=8"], saved).trainer.max_steps == 8
    assert compose(["recipe=sond", "recipe.slots=3"], saved).recipe.slots == 3
    short = files.write_text(tmp_path / "short.yaml", "recipe: sond\ntrainer: {max_steps: 3}\ndata: {clips: x}\n")
    assert (compose([], short).trainer.max_steps, compose([], short).data.clips) == (3, ["x"])


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("trainer: {max_step: 3}\nrecipe: sond", UnknownOptionError, "Did you mean 'trainer.max_steps'"),
        ("a: [", ConfigError, "isn't YAML"),
        ("- a", ConfigError, "`key: value` lines"),
    ],
)
def test_files_that_cannot_be(tmp_path: Path, text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        compose([], files.write_text(tmp_path / "bad.yaml", text))
    with pytest.raises(InputError, match=r"missing\.yaml"):
        compose([], tmp_path / "missing.yaml")


def test_trees_and_leaves() -> None:
    assert flattened({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {"a.b": 1, "a.c.d": [2], "e": None}
    assert as_tree(compose(["recipe=sond"]))["recipe"]["name"] == "sond"
