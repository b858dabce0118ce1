"""`speakerdiar train`: help, errors, the look at data, and a whole training by one command."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from voice_clips import RATE, clip_folder

from speakerdiar.cli.main import app
from speakerdiar.config import field_docs
from speakerdiar.training.config import OptimConfig, TrainerConfig
from speakerdiar.training.recipes import RECIPES

TINY = (
    *("recipe=sond", "recipe.part=speakers", f"recipe.rate={RATE}", "recipe.mel_bins=24", "recipe.filters=[4,4,8,8]"),
    *("recipe.crop=0.4", "trainer.max_steps=4", "trainer.validate_every=2", "trainer.accelerator=cpu"),
    *("trainer.tensorboard=false", "trainer.validation_batches=1", "data.held_out=2"),
)


def run(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["train", *map(str, arguments)])


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> str:
    return clip_folder(tmp_path_factory.mktemp("few") / "clips", 6, clips=3)


def test_help_has_recipes_and_settings_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from speakerdiar.cli.main import app\n"
        "try: app(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "print('HEAVY', sorted({'torch', 'scipy', 'soundfile', 'hydra'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout
    shown = " ".join(run("--help").output.split())
    for name in RECIPES:
        assert re.search(rf"recipe={name} [A-Z]", shown)
    assert f"trainer.max_steps=20000 {field_docs(TrainerConfig)['max_steps']}" in shown
    assert f"optim.rate=0.001 {field_docs(OptimConfig)['rate']}" in shown
    assert 'output="training" ' in shown


def test_a_training_and_its_score(clips: str, tmp_path: Path) -> None:
    done = run(*TINY, f"data.clips={clips}", f"output={tmp_path / 'out'}")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{tmp_path / 'out' / 'model'}: step ")
    assert ", eer 0." in done.stdout
    assert "data.clips" in done.stderr
    again = run("--config", tmp_path / "out/config.yaml", "trainer.max_steps=6", "--quiet")
    assert (again.exit_code, again.stderr) == (0, "")
    assert " of 6, eer " in again.stdout


def test_check_only_looks(clips: str, tmp_path: Path) -> None:
    done = run("--check", *TINY, f"data.clips={clips}", f"output={tmp_path / 'out'}")
    assert (done.exit_code, done.stdout) == (0, "")
    assert [part.strip() for part in done.stderr.splitlines()[3].strip("│").split("│")][:4] == [
        "data.clips",
        "18",
        "0.01",
        "6",
    ]
    assert not (tmp_path / "out").exists()


def test_faults_end_it(tmp_path: Path) -> None:
    for options in ((), ("--check",), ("--quiet",)):
        done = run(*options, *TINY, f"data.clips={tmp_path / 'none'}", "data.noise=gone", f"output={tmp_path / 'out'}")
        assert done.exit_code == 2
        assert done.stderr.count("error: ") == 2
        assert "there is no such file or folder" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("recipe=sond", "trainer.max_step=3"), "Did you mean 'trainer.max_steps'?"),
        (("recipe=sonf",), "Did you mean 'sond'?"),
        ((), "recipe=: give a recipe."),
    ],
)
def test_typos(arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_settings_that_a_recipe_refuses(clips: str) -> None:
    done = run(*TINY, f"data.clips={clips}", "recipe.part=both")
    assert done.exit_code == 2
    assert "error: recipe.part='both'" in done.stderr
