"""Kaldi archives: what kaldiio writes comes back, and nothing that a list or an archive says is ever run."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
import sys
from pathlib import Path
from typing import Any

import kaldiio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.errors import FormatError, InputError, MissingExtraError
from speakerdiar.formats import kaldi_ark

Matrices = dict[str, np.ndarray[Any, Any]]

PROFILES: Matrices = {
    "talk-1": np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32),
    "talk-2": np.random.default_rng(1).normal(size=(3, 4)).astype(np.float64),
}
VECTOR: Matrices = {"one": np.array([0.5, -1.0, 2.0], dtype=np.float32)}


def written(folder: Path, matrices: Matrices, **options: Any) -> tuple[Path, Path]:
    """Write an archive and its list, and return their paths."""
    archive, scp = folder / "profile.ark", folder / "profile.scp"
    kaldiio.save_ark(str(archive), matrices, scp=str(scp), **options)
    return archive, scp


@pytest.mark.parametrize("text", [False, True])
def test_matrices_and_vectors_come_back(tmp_path: Path, text: bool) -> None:
    archive, scp = written(tmp_path, PROFILES | VECTOR, text=text)
    places, held = kaldi_ark.load_scp(scp), kaldi_ark.load_ark(archive)
    assert list(places) == list(held) == ["talk-1", "talk-2", "one"]
    for key, expected in (PROFILES | VECTOR).items():
        for found in (places[key].read(), held[key]):
            assert found.dtype == np.float32
            assert found.flags.writeable
            assert np.array_equal(found, expected.astype(np.float32))


@pytest.mark.parametrize("method", range(1, 8))
def test_compressed_matrices_are_what_kaldiio_makes_of_them(tmp_path: Path, method: int) -> None:
    archive, scp = written(tmp_path, PROFILES, compression_method=method)
    expected = kaldiio.load_scp(str(scp))
    held = kaldi_ark.load_ark(archive)
    for key, place in kaldi_ark.load_scp(scp).items():
        assert np.array_equal(place.read(), expected[key])
        assert np.array_equal(held[key], expected[key])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a  [ 1 0.5 1e-3 ]\n", [1, 0.5, 0.001]),
        ("a  [\n  1 0.5\n  2 3 ]\n", [[1, 0.5], [2, 3]]),
        ("a [\r\n  1e-05 0 \r\n ]", [[1e-05, 0]]),
    ],
)
def test_text_as_kaldi_prints_numbers(tmp_path: Path, text: str, expected: list[Any]) -> None:
    (tmp_path / "a.ark").write_bytes(text.encode())
    assert np.array_equal(kaldi_ark.load_ark(tmp_path / "a.ark")["a"], np.array(expected, dtype=np.float32))


def test_a_file_of_one_matrix_needs_no_offset(tmp_path: Path) -> None:
    archive, scp = written(tmp_path, {"a": PROFILES["talk-1"]})
    (tmp_path / "one.mat").write_bytes(archive.read_bytes()[2:])
    scp.write_text(f"a {tmp_path}/one.mat\n")
    assert np.array_equal(kaldi_ark.load_scp(scp)["a"].read(), PROFILES["talk-1"])


def test_archives_are_found_beside_the_list(tmp_path: Path) -> None:
    _, scp = written(tmp_path, PROFILES)
    scp.write_text(scp.read_text().replace(f"{tmp_path}/", ""))
    assert np.array_equal(kaldi_ark.load_scp(scp)["talk-1"].read(), PROFILES["talk-1"])


@pytest.mark.parametrize(
    ("range", "rows", "columns"),
    [
        ("[2:5]", slice(2, 6), slice(None)),
        ("[0:0,1:2]", slice(0, 1), slice(1, 3)),
        ("[,1:2]", slice(None), slice(1, 3)),
        ("[:,3:3]", slice(None), slice(3, 4)),
        ("[10:14]", slice(10, 12), slice(None)),
    ],
)
def test_rows_and_columns_of_a_matrix(tmp_path: Path, range: str, rows: slice, columns: slice) -> None:
    _, scp = written(tmp_path, {"a": PROFILES["talk-1"]})
    scp.write_text(f"{scp.read_text().strip()}{range}\n")
    assert np.array_equal(kaldi_ark.load_scp(scp)["a"].read(), PROFILES["talk-1"][rows, columns])


@pytest.mark.parametrize(
    ("range", "says"),
    [
        ("[12:13]", r"\[12:13\] doesn't lie in 0:11"),
        ("[3:15]", r"\[3:15\] doesn't lie in 0:11"),
        ("[5:4]", r"\[5:4\] doesn't lie"),
    ],
)
def test_rows_that_are_not_there(tmp_path: Path, range: str, says: str) -> None:
    _, scp = written(tmp_path, {"a": PROFILES["talk-1"]})
    scp.write_text(f"{scp.read_text().strip()}{range}\n")
    with pytest.raises(FormatError, match=rf"profile\.scp:1: .*profile\.ark:2: {says}"):
        kaldi_ark.load_scp(scp)["a"].read()


def test_columns_of_a_vector(tmp_path: Path) -> None:
    _, scp = written(tmp_path, VECTOR)
    scp.write_text(f"{scp.read_text().strip()}[0:1,0:1]\n")
    with pytest.raises(FormatError, match="this is a vector"):
        kaldi_ark.load_scp(scp)["one"].read()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("b", "'b' has no place"),
        ("a x.ark:7", "'a' stands here twice"),
        ("b touch ran |", "is a command, and commands aren't run"),
        ("b | touch ran", "is a command"),
        ("b touch ran; cat x.ark:5|", "is a command"),
        ("b x.ark:5[0:x]", "isn't archive:offset"),
    ],
)
def test_errors_in_a_list(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "profile.scp").write_text(f"a x.ark:5\n{line}\n")
    with pytest.raises(FormatError, match=rf"profile\.scp:2: .*{says}"):
        kaldi_ark.load_scp(tmp_path / "profile.scp")


class Hostile:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


def hostile_payloads() -> list[bytes]:
    pickled, array = pickle.dumps(Hostile()), io.BytesIO()
    np.save(array, np.array([Hostile()], dtype=object), allow_pickle=True)
    length = len(array.getvalue())
    return [b"PKL" + pickled, b"NPY" + bytes([2]) + length.to_bytes(2, "little") + array.getvalue()]


def test_the_trap_would_snap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.ark").write_bytes(b"a " + hostile_payloads()[0])
    list(kaldiio.load_ark("a.ark"))
    assert len(kaldiio.load_scp(_scp("a touch ran-too; echo '[ 1.0 2.0 ]' |\n"))["a"]) == 2
    assert Path("ran").exists()
    assert Path("ran-too").exists()


def _scp(text: str) -> str:
    Path("a.scp").write_text(text)
    return "a.scp"


@pytest.mark.parametrize("payload", hostile_payloads())
def test_nothing_in_an_archive_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, payload: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.ark").write_bytes(b"a " + payload)
    with pytest.raises(FormatError, match="begins no matrix"):
        kaldi_ark.load_ark("a.ark")
    with pytest.raises(FormatError, match="begins no matrix"):
        kaldi_ark.load_scp(_scp("a a.ark:2\n"))["a"].read()
    assert not Path("ran").exists()


@pytest.mark.parametrize("line", ["a touch ran |", "a |touch ran", "a touch ran | cat", "a -", "a $(touch ran)"])
def test_nothing_in_a_list_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FormatError, match=r"a\.scp:1: .*(is a command|there is no such file)"):
        kaldi_ark.load_scp(_scp(line))["a"].read()
    assert not Path("ran").exists()


@pytest.mark.parametrize("path", ["touch ran |", "| touch ran", "-"])
def test_a_path_is_never_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FormatError, match="there is no such file"):
        kaldi_ark.load_ark(path)
    with pytest.raises(InputError, match="No such file"):
        kaldi_ark.load_scp(path)
    assert not Path("ran").exists()


def head(kind: str, *sizes: int) -> bytes:
    return f"a \0B{kind} ".encode() + b"".join(b"\4" + struct.pack("<i", size) for size in sizes)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a", "begins no matrix"),
        (b"\0" * 9000, "no key"),
        (b"\xff\xfe [ 1 ]", "no key"),
        (b"a \0B", "begins no matrix of floats: the kinds are FM, DM"),
        (b"a \0B\x04\x02\0\0\0", "begins no matrix of floats"),
        (b"a \0BFM \x04", "is cut short"),
        (head("FM", 2, 2) + bytes(15), r"shape \(2, 2\) doesn't fit in the 15 bytes"),
        (head("FM", 2**31 - 1, 2**31 - 1), "doesn't fit"),
        (head("FM", -2, -2) + bytes(16), r"shape \(-2, -2\): give one that holds numbers"),
        (head("FV", 0), r"shape \(0,\)"),
        (head("FM", 1, 1).replace(b"\4", b"\5") + bytes(4), "a broken matrix"),
        (head("FV", 1) + np.array([np.nan], dtype="<f4").tobytes(), "aren't finite"),
        (head("DV", 1) + np.array([1e300], dtype="<f8").tobytes(), "aren't finite"),
        (b"a [ 1 2\n", "a matrix has no end"),
        (b"a [ 1 2 ] 3\n", "a matrix has no end"),
        (b"a [\n 1 2\n 3 ]\n", r"rows of \[1, 2\] numbers"),
        (b"a [ ]\n", r"rows of \[\] numbers"),
        (b"a [ 1 x ]\n", "could not convert"),
        (b"a [ 1 nan ]\n", "aren't finite"),
        (b"a [ 1 ]\na [ 1 ]\n", "behind 'a': 'a' stands here twice"),
    ],
)
def test_broken_archives(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.ark").write_bytes(content)
    with pytest.raises(FormatError, match=rf"a\.ark: .*{says}"):
        kaldi_ark.load_ark(tmp_path / "a.ark")


@given(data=st.data())
def test_any_damage_is_a_format_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("damage")
    method = data.draw(st.sampled_from([None, 2, 3, 5]))
    archive, _ = written(folder, PROFILES, compression_method=method, text=data.draw(st.booleans()))
    content = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(40, len(content) - 1)))] = data.draw(st.integers(0, 255))
    archive.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with contextlib.suppress(FormatError):
        assert all(np.isfinite(matrix).all() for matrix in kaldi_ark.load_ark(archive).values())


def test_without_kaldiio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, scp = written(tmp_path, PROFILES)
    monkeypatch.setitem(sys.modules, "kaldiio.matio", None)
    with pytest.raises(MissingExtraError, match=r'pip install "speakerdiar\[kaldi\]"'):
        kaldi_ark.load_ark(archive)
    with pytest.raises(MissingExtraError):
        kaldi_ark.load_scp(scp)["talk-1"].read()
