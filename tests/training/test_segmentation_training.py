"""Local segmentation learns on windows of simulated conversations, and what was learnt is a part of a diarizer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes_roles import FakeEmbedder
from fakes_voices import tone
from hypothesis import given, settings
from hypothesis import strategies as st

import speakerdiar
from speakerdiar.annotation import Turn
from speakerdiar.audio import save
from speakerdiar.errors import ConfigError
from speakerdiar.models.segmenters import make_local_segmenter
from speakerdiar.models.segmenters.mel import MelLocalSegmenter
from speakerdiar.nn.mel_segmenter import MelSegmenter, MelSegmenterShape
from speakerdiar.nn.powerset_loss import PowersetLoss, deep_clustering
from speakerdiar.postprocessing.powerset import Powerset
from speakerdiar.simulation.conversation import Conversation
from speakerdiar.training.composing import compose
from speakerdiar.training.local_errors import LocalErrors
from speakerdiar.training.runner import train
from speakerdiar.training.segmentation import SegmentationRecipe
from speakerdiar.training.segmentation_data import ShuffledWindows, WindowCutter

TINY = (
    "recipe=segmentation",
    "recipe.lstm_size=16",
    "recipe.lstm_layers=1",
    "recipe.channels=32",
    "recipe.bands=32",
    "recipe.seconds=2",
    "recipe.conversation_seconds=4",
    "recipe.scene=clean",
    "recipe.people=[1,3]",
    "recipe.kept=32",
    "recipe.clustering=0.1",
    "recipe.dropout=0",
    "data.held_out=3",
    "data.workers=0",
    "data.batch_size=8",
    "trainer.validate_every=20",
    "optim.rate=5e-3",
    "recipe.speech=energy",
    "trainer.validation_batches=1",
    "trainer.ema=0.9",
    "trainer.tensorboard=false",
    "trainer.progress=false",
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten voices that are tones."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(10):
        samples, rate = tone(150 * 1.35**number, 3)
        (folder / f"voice{number}").mkdir()
        save(folder / f"voice{number}" / "a.wav", samples, rate)
    return folder


@pytest.fixture(scope="module")
def trained(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("trained"), clips, "trainer.max_steps=60")


def run(output: Path, clips: Path, *more: str) -> Path:
    return train(compose([*TINY, f"data.clips=[{clips}]", f"output={output}", *more]))


def curves(model: Path, name: str) -> list[float]:
    [file] = (model.parent / "curves").glob("*/metrics.csv")
    head, *rows = file.read_text().splitlines()
    column = head.split(",").index(name)
    return [float(row.split(",")[column]) for row in rows if row.split(",")[column]]


def test_it_learns(trained: Path) -> None:
    assert curves(trained, "classes")[-1] < 0.3 * math.log(7), "seven classes alike cost log(7)"
    assert min(curves(trained, "der")) < 0.6, "silence costs 1"


def test_what_was_learnt_diarizes(trained: Path) -> None:
    segmenter = make_local_segmenter(trained)
    assert isinstance(segmenter, MelLocalSegmenter)
    assert (segmenter.grid.seconds, segmenter.grid.frames) == (2.0, 100)
    samples = np.concatenate([tone(150, 3)[0], np.zeros(16000, np.float32), tone(2000, 3)[0]])
    model = speakerdiar.load_model(trained, embedder=FakeEmbedder())
    [found] = model.diarize(samples, sample_rate=16000, verbose=False)
    assert found.speakers
    assert found.duration == pytest.approx(7)


def test_it_begins_with_given_weights(trained: Path, clips: Path, tmp_path: Path) -> None:
    again = run(tmp_path, clips, f"init={trained}", "trainer.max_steps=20", "optim.rate=1e-6", "trainer.ema=0")
    before, after = (make_local_segmenter(place) for place in (trained, again))
    window = tone(300, 2)[0][None]
    # Batch norms go on counting.
    np.testing.assert_allclose(np.exp(before.score_windows(window)), np.exp(after.score_windows(window)), atol=0.05)
    assert curves(again, "der")[0] == pytest.approx(min(curves(trained, "der")), abs=0.1)


def test_a_teacher_is_learnt_from(trained: Path, clips: Path, tmp_path: Path) -> None:
    more = (f"recipe.teacher={trained}", "recipe.teacher_share=0.5", "trainer.max_steps=20")
    assert curves(run(tmp_path, clips, *more), "teacher")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("recipe.people=[3,1]", "people"),
        ("recipe.conversation_seconds=1", "10|2"),
        ("recipe.teacher_share=2", "teacher_share"),
        ("recipe.scene=cleen", "clean"),
        ("recipe.uses=0", "uses"),
    ],
)
def test_settings_that_cannot_be_used(clips: Path, tmp_path: Path, more: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, clips, more)


def test_nothing_to_learn_from() -> None:
    with pytest.raises(ConfigError, match=r"data\.clips"):
        SegmentationRecipe(compose([*TINY, "output=x"]))


def test_teachers_of_other_classes_are_refused() -> None:
    segmenter, other = _segmenter(), _segmenter(powerset=Powerset(2, 1))
    with pytest.raises(ConfigError, match="same classes"):
        WindowCutter(segmenter.grid, segmenter.powerset, lambda samples: samples, teacher=other)
    longer = _segmenter(window=64000)
    with pytest.raises(ConfigError, match="64000"):
        WindowCutter(segmenter.grid, segmenter.powerset, lambda samples: samples, teacher=longer)


def test_windows_hold_who_talks_in_them() -> None:
    segmenter = _segmenter()
    cutter = WindowCutter(segmenter.grid, segmenter.powerset, lambda samples: samples)
    turns = (Turn(0.5, 1.0, "a"), Turn(0.8, 3.0, "b"), Turn(5.0, 6.0, "c"))
    conversation = Conversation(np.ones(16000 * 6, np.float32), turns)
    window = cutter.window(conversation.samples[:32000], conversation, 0, np.random.default_rng(0))
    assert window is not None
    spoken = window.labels.numpy()
    assert spoken[:, 0].nonzero()[0].tolist() == list(range(25, 50))
    assert spoken[:, 1].nonzero()[0].tolist() == list(range(40, 100))
    assert not spoken[:, 2].any()
    assert window.teacher.isnan().all()


def test_the_latest_windows_come_several_times() -> None:
    segmenter = _segmenter()
    cutter = WindowCutter(segmenter.grid, segmenter.powerset, lambda samples: samples, level_jitter=0)

    def numbered(rng: np.random.Generator) -> Iterator[Conversation]:
        """Conversations whose number is the length of their only turn, in frames."""
        for number in range(1, 90):
            yield Conversation(np.ones(32000, np.float32), (Turn(0, number * 0.02, "a"),))

    drawn = ShuffledWindows([numbered], cutter, seed=0, uses=3, kept=4)
    numbers = [int(window.labels.sum()) for window in islice(drawn, 240)]
    for place, number in enumerate(numbers):
        newest = place // 3 + 1
        assert newest - 4 < number <= newest
    assert max(numbers.count(number) for number in set(numbers)) > 3


def test_windows_with_too_many_people_are_left_out() -> None:
    segmenter = _segmenter(powerset=Powerset(2, 2))
    cutter = WindowCutter(segmenter.grid, segmenter.powerset, lambda samples: samples)
    conversation = Conversation(np.ones(32000, np.float32), tuple(Turn(0.0, 1.0, name) for name in "abc"))
    assert cutter.window(conversation.samples, conversation, 0, np.random.default_rng(0)) is None


LABELS = st.lists(st.tuples(*[st.booleans()] * 3), min_size=2, max_size=12)


@given(labels=LABELS, order=st.permutations(range(3)), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_the_order_of_speakers_changes_no_loss(labels: list[Any], order: list[int], seed: int) -> None:
    loss, generator = PowersetLoss(Powerset()), torch.Generator().manual_seed(seed)
    scores = torch.log_softmax(torch.randn(1, len(labels), 7, generator=generator), dim=-1)
    given_, moved = torch.tensor([labels]).int(), torch.tensor([labels])[:, :, order].int()
    torch.testing.assert_close(loss(scores, given_), loss(scores, moved))
    active = np.array([labels])
    heard = loss.powerset.members[scores.argmax(dim=2).numpy()]
    assert LocalErrors.of(heard, active) == LocalErrors.of(heard, active[:, :, order])
    assert LocalErrors.of(active[:, :, order], active).rates()["der"] == 0


def test_the_loss_is_the_cross_entropy_of_the_best_order() -> None:
    loss = PowersetLoss(Powerset())
    classes = torch.tensor([0, 1, 1, 4, 2])  # nobody, a, a, a and b, b
    scores = torch.log_softmax(torch.nn.functional.one_hot(classes, 7).float() * 9, dim=-1)[None]
    labels = torch.tensor([[[0, 0, 0], [0, 0, 1], [0, 0, 1], [1, 0, 1], [1, 0, 0]]])
    assert float(loss(scores, labels)) == pytest.approx(-float(scores[0, 0, 0]), abs=1e-6)
    three = torch.ones(1, 5, 3, dtype=torch.int)
    assert float(loss(scores, three)) == 0  # no class has three at once: nothing is asked


def test_a_teacher_that_is_agreed_with_costs_its_entropy() -> None:
    loss = PowersetLoss(Powerset())
    teacher = torch.log_softmax(torch.randn(2, 20, 7, generator=torch.Generator().manual_seed(0)) * 3, dim=-1)
    entropy = -(teacher.exp() * teacher).sum(dim=-1).mean()
    torch.testing.assert_close(loss.distilled(teacher[:, :, loss.orders[4]], teacher), entropy)


def test_vectors_that_are_labels_cost_nothing() -> None:
    labels = torch.tensor([[[1, 0], [1, 0], [0, 1], [0, 0]]])
    assert float(deep_clustering(labels.float(), labels)) == 0
    assert float(deep_clustering(torch.eye(4)[None, :, :2].roll(1, 1), labels)) > 0


def _segmenter(window: int = 32000, powerset: Powerset | None = None) -> MelLocalSegmenter:
    powerset = powerset or Powerset()
    shape = MelSegmenterShape(powerset.classes, bands=16, channels=8, lstm_size=8, lstm_layers=1, linear_size=8)
    return MelLocalSegmenter(MelSegmenter(shape), window=window, powerset=powerset)
