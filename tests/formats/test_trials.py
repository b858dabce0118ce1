from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.errors import FormatError
from speakerdiar.formats import trials
from speakerdiar.formats.trials import Trial

paths = st.text("abé話/._-01", min_size=1, max_size=8).filter(lambda path: not path.startswith("#"))
lists = st.lists(st.tuples(st.builds(Trial, paths, paths, st.booleans()), st.booleans()), min_size=1, max_size=5)


def line_of(trial: Trial, kaldi: bool) -> str:
    if kaldi:
        return f"{trial.enrol} {trial.test} {'target' if trial.same else 'nontarget'}"
    return f"{int(trial.same)} {trial.enrol}\t {trial.test}"


@given(lists)
def test_both_styles_are_read(listed: list[tuple[Trial, bool]]) -> None:
    text = "# trials\r\n\n" + "\n".join(line_of(*trial) for trial in listed)
    assert trials.loads(text) == [trial for trial, _ in listed]


def test_paths_are_found_beside_the_list(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    listed = tmp_path / "trials.txt"
    listed.write_text("\ufeff0 a.wav elsewhere.wav\n", encoding="utf-8")
    assert trials.load(listed) == [Trial(str(tmp_path / "a.wav"), "elsewhere.wav", same=False)]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1 a.wav", "2 fields"),
        ("1 a.wav b.wav target", "4 fields"),
        ("2 a.wav b.wav", "'2 a.wav b.wav' has no label"),
        ("a.wav b.wav Target", "no label"),
    ],
)
def test_errors_say_what_and_where(line: str, says: str) -> None:
    with pytest.raises(FormatError, match=rf"trials\.txt:3: .*{says}"):
        trials.loads(f"1 a.wav b.wav\n\n{line}\n", path="trials.txt")


def test_a_list_without_trials_is_refused() -> None:
    with pytest.raises(FormatError, match=r"trials\.txt: holds no trial"):
        trials.loads("# nothing yet\n", path="trials.txt")
