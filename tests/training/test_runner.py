"""A training learns, keeps what validates best, stops, goes on after a kill, and runs on several processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections import Counter
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes_training import TRUTH, ToyLearner, ToyRecipe, settings
from omegaconf import OmegaConf
from safetensors.torch import load_file

from speakerdiar.errors import ConfigError, MissingExtraError, WeightsError
from speakerdiar.training.callbacks import MovingAverage
from speakerdiar.training.config import TrainConfig
from speakerdiar.training.runner import train

forks = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def result(output: Path) -> dict[str, Any]:
    found = json.loads((output / "result.json").read_text())
    assert isinstance(found, dict)
    return found


def kept(output: Path, key: str) -> Any:
    """Return a setting that is kept with a training."""
    return OmegaConf.select(OmegaConf.load(output / "config.yaml"), key)


def curve(output: Path, name: str) -> list[float]:
    """Return a column of the table of curves, of all parts of a training."""
    found = []
    for part in sorted(output.glob("curves/*/metrics.csv")):
        head, *rows = part.read_text().splitlines()
        column = head.split(",").index(name)
        found += [float(row.split(",")[column]) for row in rows if row.split(",")[column]]
    return found


def product(model: Path) -> torch.Tensor:
    """Return what a trained toy multiplies its inputs by."""
    weights = load_file(model / "model.safetensors")
    return (weights["1.weight"] @ weights["0.weight"])[0]


def test_it_learns_and_keeps_what_validates_best(tmp_path: Path) -> None:
    model = train(settings(tmp_path, max_steps=120), ToyRecipe)
    assert model == tmp_path / "model"
    losses = curve(tmp_path, "loss")
    assert losses[-1] < 0.1 * losses[0]
    torch.testing.assert_close(product(model), TRUTH, atol=0.1, rtol=0)
    curves = curve(tmp_path, "der")
    best = {"score": pytest.approx(min(curves)), "step": 10 * (1 + curves.index(min(curves)))}
    assert result(tmp_path) == {"metric": "der", "steps": 120, **best}
    assert kept(tmp_path, "trainer.max_steps") == 120


def test_the_best_checkpoint_is_that_of_the_best_score_and_not_of_the_least_loss(tmp_path: Path) -> None:
    train(settings(tmp_path / "all", figures=[0.5, 0.2, 0.4, 0.3]), ToyRecipe)
    assert result(tmp_path / "all") == {"metric": "der", "score": pytest.approx(0.2), "step": 20, "steps": 40}
    losses = curve(tmp_path / "all", "loss")
    assert min(losses) == losses[-1]
    # What a training goes on from is the newest, though an older one was better.
    assert torch.load(tmp_path / "all/last.ckpt", weights_only=True)["global_step"] == 40
    # The schedule is of 40 steps in both.
    halfway = settings(tmp_path / "half", figures=[0.5, 0.2, 0.4, 0.3], patience=1)
    train(halfway, ToyRecipe)
    assert result(tmp_path / "half")["steps"] == 30
    torch.testing.assert_close(product(tmp_path / "half/model"), product(tmp_path / "all/model"))


def test_the_last_step_is_validated_wherever_it_falls(tmp_path: Path) -> None:
    train(settings(tmp_path, max_steps=15), ToyRecipe)
    assert len(curve(tmp_path, "der")) == 2
    assert result(tmp_path)["step"] == 15


def test_without_anything_held_out_the_last_weights_are_saved(tmp_path: Path) -> None:
    config = settings(tmp_path, max_steps=120)
    config.data.held_out = 0
    torch.testing.assert_close(product(train(config, ToyRecipe)), TRUTH, atol=0.1, rtol=0)
    assert result(tmp_path) == {"metric": "der", "score": None, "step": 120, "steps": 120}
    config.trainer.patience, config.output = 2, str(tmp_path / "other")
    with pytest.raises(ConfigError, match=r"trainer\.patience=2: nothing is held out"):
        train(config, ToyRecipe)


def test_it_stops_early(tmp_path: Path) -> None:
    figures = [0.5, 0.4, 0.45, 0.41, 0.1]
    train(settings(tmp_path, figures=figures, max_steps=100, patience=2), ToyRecipe)
    assert result(tmp_path) == {"metric": "der", "score": pytest.approx(0.4), "step": 20, "steps": 40}


def test_averaged_weights_are_validated_and_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ToyLearner] = []

    def learner(self: ToyRecipe) -> ToyLearner:
        made.append(ToyLearner(self.config.recipe, self.config.optim, self.config.trainer.max_steps))
        return made[-1]

    monkeypatch.setattr(ToyRecipe, "learner", learner)
    for decay in (0.0, 0.95):
        model = train(settings(tmp_path / str(decay), max_steps=20, ema=decay), ToyRecipe)
        saved = load_file(model / "model.safetensors")["0.weight"]
        torch.testing.assert_close(saved, made[-1].judged_weights[-1])
    checkpoint = torch.load(next((tmp_path / "0.95").glob("step=*.ckpt")), weights_only=True)
    averaged, current = checkpoint["state_dict"], checkpoint["current_model_state"]
    assert not torch.equal(averaged["network.0.weight"], current["network.0.weight"])


def test_the_average_follows_fast_at_first() -> None:
    average = MovingAverage(0.9)
    held, seen = [torch.zeros(1)], []
    for step in range(200):
        average.should_update(step)
        average._average(held, [torch.ones(1)], None)
        seen.append(float(held[0]))
    assert seen[0] == pytest.approx(0.9)
    assert seen[5] > 0.999
    held = [torch.zeros(1)]
    average._average(held, [torch.ones(1)], None)
    assert float(held[0]) == pytest.approx(0.1)


def run_with(config: TrainConfig, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    train(config, ToyRecipe)


def own_process(config: TrainConfig, **environment: str) -> BaseProcess:
    """Train in a process of its own, that needn't import all anew."""
    process = multiprocessing.get_context("fork").Process(target=run_with, args=(config, environment))
    process.start()
    return process


def logged(log: Path) -> list[list[str]]:
    """Return process, step and first number of each step."""
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


@forks
def test_it_goes_on_after_a_kill(tmp_path: Path) -> None:
    output, log = tmp_path / "out", tmp_path / "log"
    config = settings(output, max_steps=60)
    config.recipe.log, config.recipe.pause = str(log), 0.02
    process = own_process(config)
    deadline = time.monotonic() + 60
    while not (output / "last.ckpt").is_file() or len(logged(log)) < 25:
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not (output / "model").exists()
    before = len(logged(log))
    step = torch.load(output / "last.ckpt", weights_only=True)["global_step"]
    train(config, ToyRecipe)
    lines = logged(log)
    assert int(lines[before][1]) == step >= 20
    assert int(lines[-1][1]) == 59
    assert len({number for _, _, number in lines}) == len(lines)  # no example twice
    assert result(output)["steps"] == 60
    last = torch.load(output / "last.ckpt", weights_only=True)
    assert last["lr_schedulers"][0]["last_epoch"] == 60
    assert last["optimizer_states"][0]["state"][0]["step"] == 60
    assert int(last["averaging_state"]["n_averaged"]) == 60


@forks
def test_two_processes_learn_from_different_examples(tmp_path: Path) -> None:
    """As `torchrun` starts them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    config = settings(tmp_path / "out", devices=2, max_steps=6)
    config.recipe.log = str(tmp_path / "log")
    world = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    world |= {"TORCHELASTIC_RUN_ID": "here", "GROUP_RANK": "0"}
    processes = [own_process(config, **world, RANK=rank, LOCAL_RANK=rank) for rank in ("0", "1")]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    lines = logged(tmp_path / "log")
    assert Counter(rank for rank, _, _ in lines) == {"0": 6, "1": 6}
    assert len({number for _, _, number in lines}) == 12
    assert result(tmp_path / "out")["steps"] == 6


@forks
def test_workers_draw_different_examples(tmp_path: Path) -> None:
    config = settings(tmp_path)
    config.data.workers, config.data.batch_size = 2, 1
    loader = iter(ToyRecipe(config).training_data())
    assert len({tuple(next(loader)[0][0].tolist()) for _ in range(6)}) == 6


def test_settings_that_may_and_may_not_change(tmp_path: Path) -> None:
    train(settings(tmp_path, max_steps=10), ToyRecipe)
    train(settings(tmp_path, max_steps=20, patience=3), ToyRecipe)
    assert result(tmp_path)["steps"] == 20
    assert len(curve(tmp_path, "der")) == 2
    other = settings(tmp_path, max_steps=30)
    other.optim.rate, other.recipe.figures = 0.5, [1.0]
    with pytest.raises(ConfigError, match=r"recipe\.figures was \[\], is \[1\.0\]; optim\.rate was 0\.03, is 0\.5"):
        train(other, ToyRecipe)
    with pytest.raises(ConfigError, match="holds a training: give another folder, or resume=true"):
        train(replace(settings(tmp_path), resume=False), ToyRecipe)


def test_a_rate_is_found_and_kept(tmp_path: Path) -> None:
    config = settings(tmp_path, max_steps=60)
    config.optim.rate = None
    train(config, ToyRecipe)
    rate = kept(tmp_path, "optim.rate")
    assert 0.01 <= rate <= 0.1
    assert result(tmp_path)["score"] < 0.5
    again = settings(tmp_path, max_steps=70)
    again.optim.rate = None
    train(again, ToyRecipe)
    assert kept(tmp_path, "optim.rate") == rate
    several: TrainConfig = settings(tmp_path / "several", devices=2)
    several.optim.rate = None
    with pytest.raises(ConfigError, match=r"trainer\.devices=2, 2 here: find the rate on one"):
        train(several, ToyRecipe)


def test_frozen_weights_stay(tmp_path: Path) -> None:
    config = settings(tmp_path, max_steps=10)
    config.optim.freeze = ["network.0.*"]
    saved = load_file(train(config, ToyRecipe) / "model.safetensors")
    fresh = ToyLearner(config.recipe, config.optim, 1).network.state_dict()
    assert torch.equal(saved["0.weight"], fresh["0.weight"])
    assert not torch.equal(saved["1.weight"], fresh["1.weight"])


def test_curves_for_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(settings(tmp_path, max_steps=10, tensorboard=True), ToyRecipe)
    assert list((tmp_path / "tensorboard").glob("events*"))
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"tensorboard=true \(false goes without\).*speakerdiar\[train\]"):
        train(settings(tmp_path / "other", tensorboard=True), ToyRecipe)


def test_what_the_machine_lacks(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"trainer\.accelerator=cpu, trainer\.devices=0: .* Give what this machine has"
    ):
        train(settings(tmp_path, devices=0), ToyRecipe)


def test_a_checkpoint_with_code_is_not_run(tmp_path: Path) -> None:
    train(settings(tmp_path, max_steps=10), ToyRecipe)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    mark = tmp_path / "mark"
    torch.save({**checkpoint, "more": Toucher(mark)}, tmp_path / "last.ckpt")
    with pytest.raises(WeightsError, match=r"last\.ckpt: isn't a checkpoint of a training"):
        train(settings(tmp_path, max_steps=20), ToyRecipe)
    assert not mark.exists()


class Toucher:
    """What makes a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)
