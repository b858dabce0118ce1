"""An embedder learns voices, from nothing, from a teacher and from former weights, and its folder embeds."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fakes_networks import drawn_weights, shapes_of
from numpy.typing import NDArray

from speakerdiar.annotation import Segment
from speakerdiar.checkpoints.folder import ModelCard, read_folder, write_folder
from speakerdiar.errors import ConfigError
from speakerdiar.models.embedders import make_embedder
from speakerdiar.models.embedders.ge2e import Ge2eEmbedder
from speakerdiar.nn.ge2e import Ge2eEncoder
from speakerdiar.nn.resnet34 import ResNetShape, SpeakerResNet
from speakerdiar.training import embedding
from speakerdiar.training.composing import compose
from speakerdiar.training.embedding import EmbeddingRecipe
from speakerdiar.training.runner import train

pytestmark = [pytest.mark.filterwarnings("ignore:.*does not have many workers")]

RATE = 16000
SHAPE = ResNetShape(channels=4, blocks=(1, 1, 1, 1), mel_bins=16, dimension=8)
SMALL = [
    "recipe=embedding", "recipe.channels=4", "recipe.blocks=[1, 1, 1, 1]", "recipe.mel_bins=16", "recipe.dimension=8",
    "recipe.speeds=[1.0]", "recipe.seconds=[0.5, 0.6]", "recipe.scene=clean", "recipe.other=0.2", "data.held_out=3",
    "data.batch_size=16", "data.workers=0", "optim.rate=0.01", "trainer.max_steps=30", "trainer.validate_every=5",
    "trainer.ema=0", "trainer.precision=32-true", "trainer.accelerator=cpu", "trainer.tensorboard=false",
    "trainer.progress=false",
]  # fmt: skip
Compose = Callable[..., list[str]]


def voice(seed: int) -> NDArray[np.float32]:
    """Noise through two resonances, whose places are the voice."""
    rng = np.random.default_rng(seed)
    frequencies = np.fft.rfftfreq(5 * RATE, 1 / RATE)[1:]
    peaks = rng.uniform(np.log2(200), np.log2(6000), 2)
    shape = sum(np.exp(-((np.log2(frequencies) - peak) ** 2) / 0.05) for peak in peaks) + 0.01
    spectrum = rng.standard_normal(len(frequencies)) * shape
    samples = np.fft.irfft(np.append(0, spectrum), 5 * RATE)
    return np.asarray(0.1 * samples / samples.std(), dtype=np.float32)


def whole(samples: NDArray[np.float32]) -> Sequence[Segment]:
    return (Segment(0.0, len(samples) / RATE),)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compose:
    """Returns the settings of a small training on voices of noise, which no detector takes for speech."""
    monkeypatch.setattr(embedding, "spoken_parts", lambda: whole)
    monkeypatch.setattr(embedding, "VERIFIED", {"verified": 1.0})
    for number in range(9):
        folder = tmp_path / "clips" / f"s{number}"
        folder.mkdir(parents=True)
        soundfile.write(folder / "a.wav", voice(number), RATE)
    return lambda *more: [*SMALL, f"data.clips=[{tmp_path / 'clips'}]", f"output={tmp_path / 'out'}", *more]


def saved(folder: Path, shape: ResNetShape = SHAPE) -> Path:
    """Write an embedder of drawn weights, and return its folder."""
    torch.manual_seed(1)
    network = SpeakerResNet(shape)
    weights = network.folded().state_dict() if shape.folded else drawn_weights(shapes_of(network.state_dict()))
    return write_folder(folder, {"model": "wespeaker-resnet"}, weights, ModelCard("t", "s", "l", "o"))


def recorded(folder: Path) -> Path:
    """Write a manifest of a recording in which two voices talk in turn, and return its path."""
    samples = np.concatenate([voice(number)[: 3 * RATE] for number in (10, 11, 10, 11)])
    soundfile.write(folder / "talk.wav", samples, RATE)
    lines = [f"SPEAKER talk 1 {3 * place} 3 <NA> <NA> v{place % 2} <NA> <NA>\n" for place in range(4)]
    (folder / "talk.rttm").write_text("".join(lines))
    manifest = folder / "talk.jsonl"
    manifest.write_text('{"audio_filepath": "talk.wav", "rttm_filepath": "talk.rttm"}\n')
    return manifest


def curve(output: Path, name: str) -> list[float]:
    with (output / "curves" / "version_0" / "metrics.csv").open() as table:
        return [float(row[name]) for row in csv.DictReader(table) if row.get(name)]


def test_it_learns_from_voices_and_a_teacher_and_its_folder_embeds(settings: Compose, tmp_path: Path) -> None:
    teacher = saved(tmp_path / "teacher")
    folder = train(compose(settings(f"recipe.teacher={teacher}")))
    losses = curve(tmp_path / "out", "loss")
    assert np.mean(losses[-2:]) < 0.9 * losses[0]
    assert set(curve(tmp_path / "out", "teacher_eer_clips")) != set()
    assert all(0 <= figure <= 100 for figure in curve(tmp_path / "out", "eer"))
    embedder = make_embedder(folder)
    (vector,) = embedder.embed(voice(20)[:RATE])
    assert vector.shape == (8,)
    assert np.isfinite(vector).all()
    assert embedder.centre is not None
    assert 0 < np.linalg.norm(embedder.centre) <= 1
    assert embedder.voice_threshold is not None
    assert -1 <= embedder.voice_threshold <= 1
    assert "6 speakers" in (folder / "README.md").read_text()
    assert {weight.dtype for weight in read_folder(folder).weights.values()} >= {torch.float16, torch.float32}


def test_it_learns_voices_without_a_teacher_from_former_weights(settings: Compose, tmp_path: Path) -> None:
    init = saved(tmp_path / "init")
    config = compose(
        settings(
            "recipe.teacher=null",
            f"init={init}",
            "optim.freeze=[network.conv1.*]",
            f"data.validation=[{recorded(tmp_path)}]",
        )
    )
    recipe = EmbeddingRecipe(config)
    before = recipe.learner().network.state_dict()
    for name, value in read_folder(init).weights.items():
        torch.testing.assert_close(before[name], value)
    after = read_folder(train(config)).weights
    torch.testing.assert_close(after["conv1.weight"].float(), before["conv1.weight"], rtol=1e-3, atol=1e-3)
    assert (after["seg_1.weight"].float() - before["seg_1.weight"]).abs().max() > 0.01
    losses = curve(tmp_path / "out", "softmax")
    assert np.mean(losses[-2:]) < 0.9 * losses[0]
    assert curve(tmp_path / "out", "eer") == curve(tmp_path / "out", "eer_recorded") != []


def test_ge2e_goes_on_from_its_own_teacher_and_vectors_stay_where_they_are(settings: Compose, tmp_path: Path) -> None:
    torch.manual_seed(3)
    weights = Ge2eEncoder(n_mels=16, hidden=8, dimension=8, layers=1).state_dict()
    scoring: dict[str, Any] = {
        "centre": [0.1] * 8,
        "voice_threshold": 0.9,
        "slot_threshold": 0.4,
        "linking_threshold": 0.7,
    }
    place = tmp_path / "init"
    init = write_folder(place, {"model": "ge2e", "scoring": scoring}, weights, ModelCard("t", "s", "l", "o"))
    config = compose(settings(f"init={init}", f"recipe.teacher={init}", "recipe.seconds=[0.5, 3.0]"))
    recipe = EmbeddingRecipe(config)
    learner = recipe.learner()
    assert not list(learner.translation.parameters())
    assert {batch.features.shape[1] for batch in itertools.islice(recipe.training_data(), 5)} <= set(range(50, 161))
    validation = recipe.validation_data()
    assert validation is not None
    with torch.inference_mode():
        before = learner.judged([learner.observed(batch) for batch in validation])
    assert before["eer_clips"] == pytest.approx(before["teacher_eer_clips"], abs=0.5)
    folder = train(config)
    losses = curve(tmp_path / "out", "loss")
    assert np.mean(losses[-2:]) < 0.9 * losses[0]
    embedder = make_embedder(folder)
    assert isinstance(embedder, Ge2eEmbedder)
    np.testing.assert_allclose(np.asarray(embedder.centre), scoring["centre"])
    assert (embedder.slot_threshold, embedder.linking_threshold) == (0.4, 0.7)
    assert embedder.voice_threshold not in (None, 0.9)
    (now,), (then,) = (made.embed(voice(20)[:RATE]) for made in (embedder, make_embedder(init)))
    assert 0.8 < now @ then < 0.9999
    assert "A recurrent network" in (folder / "README.md").read_text()


def test_the_margin_grows(settings: Compose) -> None:
    learner = EmbeddingRecipe(compose(settings("recipe.teacher=null", "recipe.margin_warmup=0.5"))).learner()
    assert learner._margin_share() == 0


def test_weights_that_cannot_learn_are_refused(settings: Compose, tmp_path: Path) -> None:
    folded = saved(tmp_path / "folded", ResNetShape(4, (1, 1, 1, 1), 16, 8, folded=True))
    with pytest.raises(ConfigError, match="no batch norms"):
        EmbeddingRecipe(compose(settings("recipe.teacher=null", f"init={folded}"))).learner()


@pytest.mark.parametrize(
    "given",
    ["recipe.blocks=[1, 1]", "recipe.mel_bins=20", "data.clips=[]", "recipe.seconds=[1.0]", "recipe.direction=-1"],
)
def test_what_cannot_be_is_refused(settings: Compose, given: str) -> None:
    with pytest.raises(ConfigError, match=given.partition("=")[0]):
        EmbeddingRecipe(compose(settings("recipe.teacher=null", given))).learner()
