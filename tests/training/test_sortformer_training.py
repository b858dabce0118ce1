"""The recipe of Sortformer: it learns, saves what diarizes, goes on from other weights, and refuses what can't be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes_sortformer import nemo_config, tiny_network, tiny_offline, tiny_shape, tiny_streaming, write_nemo
from numpy.typing import NDArray

from speakerdiar.annotation import Diarization, Turn
from speakerdiar.audio import save
from speakerdiar.errors import ConfigError
from speakerdiar.models import load_model
from speakerdiar.models.diarizers.sortformer import SortformerDiarizer
from speakerdiar.models.diarizers.streaming_sortformer import StreamingSortformerDiarizer
from speakerdiar.nn.shuffled_cache import streamed
from speakerdiar.nn.sortformer import Heard
from speakerdiar.simulation import Conversation
from speakerdiar.training import sortformer
from speakerdiar.training.composing import compose
from speakerdiar.training.config import TrainConfig
from speakerdiar.training.runner import train
from speakerdiar.training.sortformer import Hearing, SortformerLearner, SortformerRecipe
from speakerdiar.training.sortformer_data import HeldOutBatch, Sessions

RATE = 16000
SHORT = {
    "chunk_len": 10,
    "chunk_right_context": 1,
    "chunk_left_context": 1,
    "fifo_len": 2,
    "spkcache_update_period": 10,
    "spkcache_len": 12,
}
"""Chunks of 0.8 s, so that sessions of 3 s fill the cache."""


def voice(seed: int, seconds: float = 3.0) -> NDArray[np.float32]:
    """Noise through one resonance, whose place is the voice."""
    rng = np.random.default_rng(seed)
    frequencies = np.fft.rfftfreq(round(seconds * RATE), 1 / RATE)[1:]
    peak = np.log2(200) + seed * 0.7
    shape = np.exp(-((np.log2(frequencies) - peak) ** 2) / 0.1) + 0.01
    sound = np.fft.irfft(np.append(0, rng.standard_normal(len(frequencies)) * shape))
    return np.asarray(0.5 * sound / np.abs(sound).max(), dtype=np.float32)


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the clips of six voices."""
    folder = tmp_path_factory.mktemp("voices")
    for seed in range(6):
        (folder / f"v{seed}").mkdir()
        save(folder / f"v{seed}" / "clip.wav", voice(seed), RATE)
    return folder


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sortformer.SIZES, "small", replace(tiny_shape(32), xscaling=False))


def settings(voices: Path, output: Path, *more: str) -> TrainConfig:
    given = {
        "data.clips": voices,
        "output": output,
        "data.held_out": 3,
        "data.batch_size": 4,
        "optim.rate": 5e-3,
        "recipe.speakers": 2,
        "recipe.people": [1, 2],
        "recipe.seconds": [2, 3],
        "recipe.scene": "clean",
        "recipe.speech": "energy",
        "trainer.max_steps": 12,
        "trainer.validate_every": 6,
        "trainer.validation_batches": 1,
        "trainer.ema": 0,
        "trainer.tensorboard": "false",
        "trainer.accelerator": "cpu",
    }
    return compose(["recipe=sortformer", *(f"{key}={value}" for key, value in given.items()), *more])


def streaming() -> list[str]:
    return ["recipe.streaming=true", *(f"recipe.chunks.{name}={value}" for name, value in SHORT.items())]


def begun(config: TrainConfig) -> tuple[SortformerLearner, Any]:
    """Return what learns and what from."""
    recipe = SortformerRecipe(config)
    return recipe.learner(), recipe.training_data()


def held_out(recipe: SortformerRecipe) -> list[HeldOutBatch]:
    loader = recipe.validation_data()
    assert loader is not None
    return list(loader)


def curve(output: Path, name: str) -> list[float]:
    head, *rows = (output / "curves" / "version_0" / "metrics.csv").read_text().splitlines()
    column = head.split(",").index(name)
    return [float(row.split(",")[column]) for row in rows if row.split(",")[column]]


def losses(recipe: SortformerRecipe, learner: SortformerLearner, steps: int) -> list[float]:
    """Take some steps by hand; return the loss of each."""
    optimizer = torch.optim.AdamW(learner.parameters(), 5e-3)
    found = []
    for _, batch in zip(range(steps), recipe.training_data(), strict=False):
        loss = learner.losses(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        optimizer.step()
        found.append(float(loss.detach()))
    return found


def test_it_learns_and_what_it_saves_diarizes(voices: Path, tmp_path: Path) -> None:
    folder = train(settings(voices, tmp_path))
    model = load_model(folder)
    assert isinstance(model, SortformerDiarizer)
    assert model.normalize
    assert model.scale_peak
    assert model.speakers == 2
    assert "recipe=sortformer" in (folder / "README.md").read_text()
    (found,) = model.diarize([np.concatenate([voice(0, 1.5), voice(4, 1.5)])], sample_rate=RATE)
    assert found.turns
    rates = curve(tmp_path, "der")
    assert len(rates) == 2
    assert min(rates) < 1
    assert list(tmp_path.glob("step=*.ckpt"))


def test_the_loss_falls(voices: Path, tmp_path: Path) -> None:
    recipe = SortformerRecipe(settings(voices, tmp_path))
    torch.manual_seed(0)
    found = losses(recipe, recipe.learner(), 20)
    assert np.mean(found[-5:]) < 0.75 * np.mean(found[:5])


def test_it_learns_through_the_speaker_cache(voices: Path, tmp_path: Path) -> None:
    config = settings(voices, tmp_path, *streaming())
    recipe = SortformerRecipe(config)
    torch.manual_seed(0)
    learner = recipe.learner()
    found = losses(recipe, learner, 12)
    assert np.mean(found[-4:]) < 0.85 * np.mean(found[:4])
    model = load_model(recipe.save(learner, tmp_path / "model"))
    assert isinstance(model, StreamingSortformerDiarizer)
    assert model.diarize([voice(0)], sample_rate=RATE, latency=SHORT)
    figures = learner.judged([learner.observed(batch) for batch in held_out(recipe)])
    assert set(figures) == {"der", "miss", "false_alarm", "confusion"}
    assert figures["der"] == pytest.approx(figures["miss"] + figures["false_alarm"] + figures["confusion"])


def test_attention_is_limited_in_a_share_of_the_steps(
    voices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def noted(*arguments: Any) -> Heard:
        seen.append(arguments[4])
        return streamed(*arguments)

    monkeypatch.setattr(sortformer, "streamed", noted)
    recipe = SortformerRecipe(settings(voices, tmp_path, *streaming(), "recipe.limited_right=3"))
    learner = recipe.learner()
    batch = next(iter(recipe.training_data()))
    torch.manual_seed(0)
    with torch.no_grad():
        for _ in range(10):
            learner.heard(Sessions(batch.mels[:1], batch.labels[:1], batch.lengths[:1]))
    assert set(seen) == {None, 3}
    assert 2 <= seen.count(3) <= 8


def test_dropout_is_for_training_alone(voices: Path, tmp_path: Path) -> None:
    learner, loader = begun(settings(voices, tmp_path, "recipe.dropout=0.3"))
    batch = next(iter(loader))
    with torch.no_grad():
        one, other = (learner.train().heard(batch).logits for _ in range(2))
        assert not torch.equal(one, other)
        one, other = (learner.eval().heard(batch).logits for _ in range(2))
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", ["offline", "streaming", "nemo", "streaming from offline"])
def test_it_begins_with_the_numbers_of_other_weights(kind: str, voices: Path, tmp_path: Path) -> None:
    place, more = tmp_path / "start", ["recipe.streaming=true"] if "streaming" in kind else []
    model: SortformerDiarizer | StreamingSortformerDiarizer
    if kind == "nemo":
        shape = replace(tiny_shape(80), d_inner=64)
        place = write_nemo(tmp_path / "model.nemo", tiny_network(80, normalized=True), nemo_config(shape))
        model = tiny_offline()
    elif kind == "streaming":
        model = tiny_streaming()
        model.scoring = {"sil_threshold": 0.3}
    else:
        model = SortformerDiarizer(tiny_network(128), normalize=kind == "offline", scale_peak=True, licence="CC0")
    if kind != "nemo":
        model.save_pretrained(place)
    recipe = SortformerRecipe(settings(voices, tmp_path / "run", f"init={place}", "recipe.pair_weight=0", *more))
    learner = recipe.learner()
    weights = model.network.state_dict()
    for name, value in learner.network.state_dict().items():
        assert torch.equal(value, weights[name]), name
    assert learner.pairs is None
    assert all(value.requires_grad for value in learner.network.parameters())
    saved = load_model(recipe.save(learner, tmp_path / "saved"))
    if "streaming" in kind:
        assert isinstance(saved, StreamingSortformerDiarizer)
        assert saved.scoring == getattr(model, "scoring", {})
    else:
        assert isinstance(saved, SortformerDiarizer)
        assert saved.normalize
        expected, found = (one.diarize([voice(0)], sample_rate=RATE)[0].turns for one in (model, saved))
        assert found == expected
    assert saved.licence == model.licence


def test_steps_hear_what_the_diarizer_hears(voices: Path, tmp_path: Path) -> None:
    """A session of a batch, shorter than its neighbour, gets the scores that the diarizer gives the same samples."""
    for more in ([], ["recipe.normalize=false"]):
        learner, loader = begun(settings(voices, tmp_path, "recipe.seconds=[2,2]", *more))
        learner.network.eval()
        cutter = loader.dataset.cutter
        sound = [voice(1, 3.0), voice(2, 2.0)]
        rng = np.random.default_rng(0)
        sessions = [replace(cutter, seconds=(3, 3)).cut(Conversation(one, ()), rng) for one in sound]
        with torch.inference_mode():
            found = learner.heard(Sessions.of(sessions)).logits.sigmoid()
            diarizer = learner.hearing.diarizer(learner.network)
            assert isinstance(diarizer, SortformerDiarizer)
            for row, (samples, scores) in enumerate(zip(sound, found, strict=True)):
                frames = -(-len(samples) // 1280)
                expected = torch.from_numpy(diarizer._scores([torch.from_numpy(samples)])[0])
                # The reduction sees zeros behind a session that is padded as behind one that isn't, but in its inside.
                inner = frames - (2 if row else 0)
                torch.testing.assert_close(scores[:inner], expected[:inner], rtol=0, atol=2e-2 if row else 1e-5)


def pair(turns: Sequence[Turn], guessed: Sequence[Turn]) -> tuple[Diarization, Diarization]:
    return Diarization("a", 4.0, tuple(turns)), Diarization("a", 4.0, tuple(guessed))


def test_the_figure_knows_no_names(voices: Path, tmp_path: Path) -> None:
    learner = SortformerRecipe(settings(voices, tmp_path)).learner()
    truth = [Turn(0, 2, "Ann"), Turn(2, 4, "Bob")]
    right = pair(truth, [Turn(0, 2, "SPEAKER_01"), Turn(2, 4, "SPEAKER_00")])
    worse = pair(truth, [Turn(0, 3, "SPEAKER_00")])
    assert learner.judged([[right], [right]])["der"] == 0
    found = learner.judged([[right, worse]])
    assert found == pytest.approx({"der": 0.25, "miss": 0.125, "false_alarm": 0, "confusion": 0.125})


def test_judging_leaves_the_network_as_it_was(voices: Path, tmp_path: Path) -> None:
    learner = SortformerRecipe(settings(voices, tmp_path)).learner().train()
    found = learner.observed(HeldOutBatch([Conversation(voice(0), (Turn(0, 3, "Ann"),))]))
    assert found[0][0].turns == (Turn(0, 3, "Ann"),)
    assert all(part.training for part in learner.modules())
    assert all(value.requires_grad for value in learner.parameters())


def test_validations_hear_the_same_held_out_voices(voices: Path, tmp_path: Path) -> None:
    recipe = SortformerRecipe(settings(voices, tmp_path))
    one, other = ([c for batch in held_out(recipe) for c in batch.conversations] for _ in range(2))
    assert len(one) == 4
    assert all(np.array_equal(a.samples, b.samples) and a.turns == b.turns for a, b in zip(one, other, strict=True))
    assert {turn.speaker for conversation in one for turn in conversation.turns} <= {"v2", "v5"}
    assert SortformerRecipe(settings(voices, tmp_path, "data.held_out=0")).validation_data() is None


def test_recordings_with_turns_teach_and_judge(tmp_path: Path) -> None:
    save(tmp_path / "a.wav", np.concatenate([voice(0), voice(4)]), RATE)
    (tmp_path / "a.rttm").write_text(
        "SPEAKER a 1 0 3 <NA> <NA> Ann <NA> <NA>\nSPEAKER a 1 3 3 <NA> <NA> Bob <NA> <NA>\n"
    )
    line = f'{{"audio_filepath": "{tmp_path}/a.wav", "rttm_filepath": "{tmp_path}/a.rttm"}}\n'
    (tmp_path / "a.jsonl").write_text(line)
    manifest = tmp_path / "a.jsonl"
    recorded = ("data.clips=[]", f"data.train={manifest}")
    recipe = SortformerRecipe(settings(tmp_path, tmp_path / "run", *recorded, f"data.validation={manifest}"))
    batch = next(iter(recipe.training_data()))
    assert batch.labels.sum(dim=(1, 2)).min() > 20
    held = [conversation for one in held_out(recipe) for conversation in one.conversations]
    assert [one.turns for one in held] == [(Turn(0, 3, "Ann"),), (Turn(0, 3, "Bob"),)]
    assert SortformerRecipe(settings(tmp_path, tmp_path / "run", *recorded)).validation_data() is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("recipe.size=huge", "recipe.size='huge': give one of small, full"),
        ("recipe.scene=opera", "scene='opera': give a YAML file, or one of clean, varied"),
        ("recipe.people=[3,2]", r"recipe.people=\[3, 2\]: give \[least, most\]"),
        ("recipe.seconds=[4]", r"recipe.seconds=\[4.0\]: give \[least, most\]"),
        ("recipe.limited_share=2", "recipe.limited_share=2.0: give a share from 0 to 1"),
        ("recipe.dropout=1", "recipe.dropout=1.0: give a share from 0 to below 1"),
        ("recipe.limited_right=-1", "recipe.limited_right=-1: give a whole number of frames"),
        ("recipe.pair_weight=-1", "recipe.pair_weight=-1.0: give a weight"),
        ("recipe.pil_weight=-1", "pil=-1.0: give 0 or more"),
        ("recipe.chunks.chunk_len=0", "chunk_len=0: give a whole number"),
        ("recipe.people=[1,3]", r"recipe.people=\[1, 3\]: the network tells 2 apart"),
        ("data.clips=[]", r"data.clips=\[\]: give clips to simulate conversations of, or recordings"),
    ],
)
def test_settings_that_cant_be_used_are_refused(override: str, message: str, voices: Path, tmp_path: Path) -> None:
    config = settings(voices, tmp_path, override)
    with pytest.raises(ConfigError, match=message):
        begun(config)


def test_weights_that_cant_begin_are_refused(voices: Path, tmp_path: Path) -> None:
    tiny_offline().save_pretrained(tmp_path / "offline")
    with pytest.raises(ConfigError, match="normalizes features over the whole recording"):
        SortformerRecipe(settings(voices, tmp_path, f"init={tmp_path}/offline", "recipe.streaming=true")).learner()


def test_hearings_make_their_diarizers() -> None:
    network = tiny_network(32, 2)
    for hearing in (Hearing(False, True, False, {}, "CC0"), Hearing(True, False, False, {"sil_threshold": 0.1}, "CC0")):
        made = hearing.diarizer(network)
        assert made.network is not network
        assert made.licence == "CC0"
        assert isinstance(made, StreamingSortformerDiarizer) == hearing.streaming
