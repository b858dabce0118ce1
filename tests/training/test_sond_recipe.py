"""SOND's two trainings by its recipe: profiles first, then who talks; what they write is loaded and diarizes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from voice_clips import RATE, clip_folder, voice

from speakerdiar import load_model
from speakerdiar.errors import ConfigError
from speakerdiar.models.diarizers.sond import SondDiarizer
from speakerdiar.models.embedders import make_embedder
from speakerdiar.models.embedders.sond import SondEmbedder
from speakerdiar.training.composing import compose
from speakerdiar.training.runner import train
from speakerdiar.training.sond_recipe import SondRecipe

QUICK = (
    *("recipe=sond", "trainer.accelerator=cpu", "trainer.tensorboard=false", "data.held_out=4", "data.batch_size=8"),
    *("trainer.validation_batches=1", f"recipe.rate={RATE}", "recipe.mel_bins=24", "recipe.filters=[4, 4, 8, 8]"),
    *("recipe.dimension=16", "recipe.units=32", "recipe.inner=32", "recipe.layers=1", "recipe.slots=3"),
    *("recipe.seconds=2.4", "recipe.talkers=[1, 2]", "recipe.absent=[0, 1]", "recipe.crop=0.4", "recipe.window=4"),
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> str:
    return clip_folder(tmp_path_factory.mktemp("voices") / "clips", 12)


@pytest.fixture(scope="module")
def speakers(clips: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first training: what makes profiles."""
    return trained(clips, tmp_path_factory.mktemp("speakers"), 30, "recipe.part=speakers", "optim.rate=1e-2")


@pytest.fixture(scope="module")
def sond(clips: str, speakers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The second training: SOND."""
    return trained(clips, tmp_path_factory.mktemp("sond"), 36, f"recipe.speakers={speakers}", "optim.rate=1e-2")


def trained(clips: str, output: Path, steps: int, *more: str) -> Path:
    every = f"trainer.validate_every={max(1, steps // 6)}"
    return train(
        compose([*QUICK, f"data.clips={clips}", f"output={output}", f"trainer.max_steps={steps}", every, *more])
    )


def losses(model: Path) -> list[float]:
    head, *rows = (model.parent / "curves/version_0/metrics.csv").read_text().splitlines()
    column = head.split(",").index("loss")
    return [float(row.split(",")[column]) for row in rows if row.split(",")[column]]


def score(model: Path) -> tuple[str, float]:
    result = json.loads((model.parent / "result.json").read_text())
    return result["metric"], result["score"]


def test_profiles_are_learnt_and_loaded(speakers: Path) -> None:
    assert sum(losses(speakers)[-2:]) < sum(losses(speakers)[:2])
    name, error = score(speakers)
    assert (name, error < 0.4) == ("eer", True)
    embedder = make_embedder(str(speakers))
    assert isinstance(embedder, SondEmbedder)
    assert (embedder.sample_rate, embedder.dimension) == (RATE, 16)
    made = SondRecipe(compose([*QUICK, "data.clips=x", f"recipe.speakers={speakers}"])).embedder
    assert made.frontend.options.snip_edges is False


def test_sond_learns_is_loaded_and_diarizes(sond: Path) -> None:
    assert sum(losses(sond)[-2:]) < sum(losses(sond)[:2])
    name, error = score(sond)
    assert (name, error < 0.8) == ("der", True)
    model = load_model(str(sond))
    talk = np.concatenate([voice(0)[2], voice(1)[3]])
    [found] = model.diarize((talk, RATE), profiles={"zero": voice(0)[0], "one": voice(1)[0]}, sample_rate=RATE)
    assert found.duration == 2.0
    assert set(found.speakers) <= {"zero", "one"}
    assert found.turns


def test_fine_tuning_begins_with_the_weights(clips: str, sond: Path, speakers: Path, tmp_path: Path) -> None:
    same = trained(clips, tmp_path / "a", 2, f"init={sond}", "optim.rate=1e-9", "trainer.ema=0")
    before, after = (SondDiarizer.from_pretrained(place).network.state_dict() for place in (sond, same))
    assert all(torch.allclose(before[name].float(), after[name].float(), atol=1e-5) for name in before)
    part = ("recipe.part=speakers", "optim.rate=1e-9", "trainer.ema=0", "optim.freeze=[network.encoder.*]")
    again = trained(clips, tmp_path / "b", 2, f"init={speakers}", *part)
    kept = ("encoder.pre_conv.weight", "decoder.resnet1_dense.weight")
    old, new = (make_embedder(str(place)) for place in (speakers, again))
    assert isinstance(old, SondEmbedder)
    assert isinstance(new, SondEmbedder)
    for name in kept:
        torch.testing.assert_close(new.saved_weights()[name], old.saved_weights()[name], atol=1e-5, rtol=0)


def test_mixed_precision(clips: str, speakers: Path, tmp_path: Path) -> None:
    trained(clips, tmp_path / "a", 2, "recipe.part=speakers", "trainer.precision=bf16-mixed")
    trained(clips, tmp_path / "b", 2, f"recipe.speakers={speakers}", "trainer.precision=bf16-mixed")
    assert len(losses(tmp_path / "a/model")) == len(losses(tmp_path / "b/model")) == 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["recipe.part=both"], r"recipe\.part='both': give speakers or talk"),
        (["data.clips=[]"], r"data\.clips is empty"),
        (["data.train=a.json"], r"data\.train and data\.validation"),
        ([], r"recipe\.speakers=null: SOND needs what makes its profiles"),
        (["recipe.speakers=ge2e"], r"recipe\.speakers=ge2e: holds a Ge2e"),
        (["recipe.speakers={speakers}", "recipe.talkers=[1]"], r"recipe\.talkers=\[1\]: give two numbers"),
    ],
)
def test_settings_that_cannot_be(
    clips: str, speakers: Path, tmp_path: Path, overrides: Sequence[str], message: str
) -> None:
    filled = [override.format(speakers=speakers) for override in overrides]
    with pytest.raises(ConfigError, match=message):
        trained(clips, tmp_path, 2, *filled)
