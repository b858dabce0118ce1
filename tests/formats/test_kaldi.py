from __future__ import annotations

from pathlib import Path

import pytest

from speakerdiar.errors import FormatError, InputError
from speakerdiar.formats import kaldi

WAVS = "a /x/a.wav\nb /x/my b.flac\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "wav.scp").write_text(WAVS)
    return tmp_path


def test_files(folder: Path) -> None:
    for path in (folder, folder / "wav.scp"):
        assert [(r.id, r.path, r.duration) for r in kaldi.load(path)] == [
            ("a", "/x/a.wav", None),
            ("b", "/x/my b.flac", None),
        ]


def test_stretches_of_files(folder: Path) -> None:
    segments = folder / "segments"
    segments.write_text("a-1 a 0.1 0.3\nb-1 b 2 -1\n\na-2 a 3 4\n")
    expected = [("a-1", "/x/a.wav", 0.1, 0.2), ("b-1", "/x/my b.flac", 2.0, None), ("a-2", "/x/a.wav", 3.0, 1.0)]
    for read in (kaldi.load(folder), kaldi.load(folder / "wav.scp", segments)):
        assert [(r.id, r.path, r.offset, r.duration) for r in read] == expected
    assert len(kaldi.load(folder / "wav.scp")) == 2


def test_relative_paths_are_found_beside_the_list(folder: Path) -> None:
    (folder / "c.wav").touch()
    (folder / "wav.scp").write_text("c c.wav\nd d.wav\n")
    assert [r.path for r in kaldi.load(folder)] == [str(folder / "c.wav"), "d.wav"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("c", "'c' has no path"),
        ("c sox a.wav -t wav - |", "is a command, and commands aren't run"),
        ("c | cat", "is a command"),
        ("c raw.ark:1234", "inside an archive"),
        ("a /y/a.wav", "'a' stands here twice"),
    ],
)
def test_errors_in_the_list_of_files(line: str, says: str) -> None:
    with pytest.raises(FormatError, match=rf"wav\.scp:3: .*{says}"):
        kaldi.loads_scp(WAVS + line, path="wav.scp")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("u a 0", "3 fields"),
        ("u c 0 1", "recording 'c' isn't in wav.scp"),
        ("u a x 1", "start 'x'"),
        ("u a 1 -2", "end -2 lies before 0"),
        ("u a 1 1", "'u' ends at 1, not after its start 1"),
        ("a-1 a 0 1", "'a-1' stands here twice"),
    ],
)
def test_errors_in_the_list_of_stretches(line: str, says: str) -> None:
    with pytest.raises(FormatError, match=rf"segments:2: .*{says}"):
        kaldi.loads_segments(f"a-1 a 0 1\n{line}", {"a": "/x/a.wav"}, path="segments")


def test_a_folder_without_a_list(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"wav\.scp: No such file"):
        kaldi.load(tmp_path)
