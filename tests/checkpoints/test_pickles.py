"""Names in pickles: those of tensors pass, all others are seen before anything is built."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import Counter

import pytest
import torch
from nemo_files import saved

from speakerdiar.checkpoints import pickles
from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.pickles import check_names
from speakerdiar.checkpoints.tensors import read_tensors
from speakerdiar.errors import WeightsError


class Own:
    """A class that a package may have declared safe to PyTorch."""


def pickle_in(weights: object) -> bytes:
    with zipfile.ZipFile(io.BytesIO(saved(weights))) as archive:
        return archive.read("archive/data.pkl")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.bool, torch.uint16, torch.float8_e4m3fn])
def test_tensors_of_any_precision_pass(dtype: torch.dtype) -> None:
    data = saved({"a": torch.zeros(3).to(dtype)})
    found = read_tensors(io.BytesIO(data), len(data), ArchiveLimits(), "x")
    assert found["a"].dtype == dtype


def test_the_file_stands_behind_the_pickle() -> None:
    stream = io.BytesIO(pickle_in({}) + b"behind")
    check_names(stream, "x")
    assert stream.read() == b"behind"


@pytest.mark.parametrize(
    ("data", "asked"),
    [
        (b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "asks for __builtin__.bytearray"),
        (b"\x80\x02ctorch\nTensor\nJ\xff\xff\xff\x7f\x85R.", "asks for torch.Tensor"),
        (b"\x80\x02ctorch.storage\n_load_from_bytes\n(tR.", "asks for torch.storage._load_from_bytes"),
        (b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.", "asks for os.system"),
        (b"(S'ls'\nios\nsystem\n.", "uses INST"),
        (b"\x80\x02\x82\x01.", "uses EXT1"),
        (pickle.dumps(Counter("ab"), protocol=2), "asks for collections.Counter"),
        (pickle.dumps(Counter("ab"), protocol=4), "uses STACK_GLOBAL"),
    ],
)
def test_other_names_are_refused(data: bytes, asked: str) -> None:
    with pytest.raises(WeightsError, match=f"x is refused, as its pickle {asked}: only plain tensors are read"):
        check_names(io.BytesIO(data), "x")


def test_what_others_declared_safe_is_still_refused() -> None:
    data = saved({"a": Own()})
    with torch.serialization.safe_globals([Own]):
        assert isinstance(torch.load(io.BytesIO(data), weights_only=True)["a"], Own)
        with pytest.raises(WeightsError, match=r"asks for .*\.Own"):
            read_tensors(io.BytesIO(data), len(data), ArchiveLimits(), "x")


def test_a_pickle_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_STEPS", 100)
    with pytest.raises(WeightsError, match="has more than 100 steps"):
        check_names(io.BytesIO(b"\x80\x02" + b"N0" * 200 + b"N."), "x")


@pytest.mark.parametrize(
    "text", [b"\x8d" + b"\xff" * 7 + b"\x7f", b"T\xff\xff\xff\x7f", b"X\x01\x00\x01\x00" + b"x" * 2**16]
)
def test_long_arguments_are_not_read(text: bytes) -> None:
    with pytest.raises(WeightsError, match=r"x isn't a whole pickle \(an argument of [0-9,]+ bytes"):
        check_names(io.BytesIO(b"\x80\x02" + text + b"."), "x")


def test_a_line_without_end_is_not_read() -> None:
    stream = io.BytesIO(b"\x80\x02c" + b"x" * 10**6)
    with pytest.raises(WeightsError, match="x isn't a whole pickle"):
        check_names(stream, "x")
    assert stream.tell() < 10**5


def test_wherever_a_pickle_is_cut_it_is_refused() -> None:
    data = pickle_in({"a": torch.zeros(3)})
    for length in range(len(data)):
        with pytest.raises(WeightsError, match="x isn't a whole pickle"):
            check_names(io.BytesIO(data[:length]), "x")
