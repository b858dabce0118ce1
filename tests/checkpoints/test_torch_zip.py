"""Zips of torch.save with more than tensors in them: what is asked for is read, everything is checked first."""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nemo_files import saved

from speakerdiar.checkpoints import torch_zip
from speakerdiar.checkpoints.inert_pickle import Made
from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.torch_zip import StoredTensor, open_torch_zip
from speakerdiar.errors import WeightsError

FLOAT = "ctorch\nFloatStorage\n"


class Other:
    """A class of somebody's."""


def put(folder: Path, data: bytes) -> Path:
    path = folder / "weights.bin"
    path.write_bytes(data)
    return path


def tensors_of(path: Path, limits: ArchiveLimits | None = None) -> dict[str, torch.Tensor]:
    with open_torch_zip(path) as opened:
        return opened.tensors(opened.objects(), limits or ArchiveLimits())


def zip_of(records: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in records.items():
            archive.writestr(name, data)
    return stream.getvalue()


def by_hand(tensor: str, data: bytes = bytes(16), storage: str = FLOAT, numbers: str = "I4\n") -> bytes:
    """A zip with one tensor `a`: `tensor` holds its offset, shape and strides in pickle's own letters."""
    id = f"(Vstorage\n{storage}V0\nVcpu\n{numbers}tQ"
    pickled = f"(dVa\nctorch._utils\n_rebuild_tensor_v2\n({id}{tensor}I00\nNtRs.".encode()
    return zip_of({"x/data.pkl": pickled, "x/byteorder": sys.byteorder.encode(), "x/data/0": data})


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    kinds = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16]
    weights = {str(dtype): torch.arange(6).reshape(2, 3).to(dtype) for dtype in [*kinds, torch.int8, torch.uint8]}
    weights |= {"bool": torch.tensor([True, False]), "scalar": torch.tensor(7.0), "empty": torch.zeros(0, 3)}
    weights |= {"turned": torch.arange(6.0).reshape(2, 3).t(), "part": torch.arange(9.0)[2:8:2]}
    weights |= {"parameter": torch.nn.Parameter(torch.ones(2))}
    found = tensors_of(put(tmp_path, saved(OrderedDict(weights))))
    assert list(found) == list(weights)
    for name, value in weights.items():
        assert found[name].dtype == value.dtype
        assert type(found[name]) is torch.Tensor
        torch.testing.assert_close(found[name], value.detach(), rtol=0, atol=0)
        assert not found[name].requires_grad


def test_tied_tensors_share_their_numbers(tmp_path: Path) -> None:
    one = torch.arange(4.0)
    found = tensors_of(put(tmp_path, saved({"a": one, "b": one[1:]})))
    found["a"][1] = 9
    assert found["b"].tolist() == [9, 2, 3]


def test_other_objects_are_inert_and_their_tensors_unread(tmp_path: Path) -> None:
    path = put(tmp_path, saved({"state": {"a": torch.ones(2)}, "other": Other(), "left": torch.zeros(10**6)}))
    with open_torch_zip(path) as opened:
        found = opened.objects()
        assert isinstance(found["other"], Made)
        assert isinstance(found["left"], StoredTensor)
        few = ArchiveLimits(max_weights_bytes=8)
        assert opened.tensors(found["state"], few)["a"].tolist() == [1, 1]
        with pytest.raises(WeightsError, match="bytes of all tensors: 4,000,000 is beyond max_weights_bytes=8"):
            opened.tensors({"left": found["left"]}, few)


@pytest.mark.parametrize(
    ("weights", "fault"),
    [
        ({"a": Other()}, rf"'a' is a {__name__}\.Other, not a tensor"),
        ({"a": [torch.ones(1)]}, "'a' is a list, not a tensor"),
        ({3: torch.ones(1)}, "3 isn't text"),
        ({(1, 2): torch.ones(1)}, "object at .* isn't text"),
        ({"a": torch.ones(2).to_sparse()}, r"'a' is a torch\._utils\._rebuild_sparse_tensor, not a tensor"),
        ({"a": torch.ones(1).expand(5)}, "'a' is a tensor of 5 numbers over 1"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, r"'a' is a torch\._utils\._rebuild_tensor_v2, not a tensor"),
        ([torch.ones(1)], "has no tensors by name"),
    ],
)
def test_what_is_no_dense_tensor_by_name_is_refused(tmp_path: Path, weights: Any, fault: str) -> None:
    path = put(tmp_path, saved(weights))
    with pytest.raises(WeightsError, match=fault):
        tensors_of(path)


def test_a_file_made_by_hand_is_read(tmp_path: Path) -> None:
    assert tensors_of(put(tmp_path, by_hand("I1\n(I3\nt(I1\nt")))["a"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (by_hand("I2\n(I3\nt(I1\nt"), "is a tensor of 3 numbers over 4"),
        (by_hand("I0\n(I2\nI2\nt(I3\nI1\nt"), "is a tensor of 4 numbers over 4"),
        (by_hand("I-1\n(I3\nt(I1\nt"), "has sizes that aren't whole numbers"),
        (by_hand("I0\n(I3\nt(I-1\nt"), "has sizes that aren't whole numbers"),
        (by_hand("I0\n(F3\nt(I1\nt"), "has sizes that aren't whole numbers"),
        (by_hand("I0\n(I3\nt(I1\nI1\nt"), "has 1 dimensions and 2 strides"),
        (by_hand("I0\n(" + "I1\n" * 17 + "t(" + "I1\n" * 17 + "t"), "has 17 dimensions and 17 strides"),
        (by_hand("I0\n(L" + "9" * 4000 + "L\nI0\nt(I1\nI1\nt"), "has sizes beyond all memory"),
        (by_hand("I0\n(L" + "9" * 40 + "L\nt(I0\nt"), "has sizes beyond all memory"),
        (by_hand("I0\n(I1\nt(L" + "9" * 40 + "L\nt"), "has sizes beyond all memory"),
        (by_hand("L" + "9" * 40 + "L\n(I0\nt(I1\nt"), "has sizes beyond all memory"),
        (by_hand("I0\n(" + "I99999\n" * 15 + "I0\nt(" + "I1\n" * 16 + "t"), "has sizes beyond all memory"),
        (by_hand("I0\n(I5\nt(I0\nt"), "is a tensor of 5 numbers over 4"),
        (by_hand("I0\n(I4\nt(I1\nt", data=bytes(12)), "has no 4 numbers in the file"),
        (by_hand("I0\n(I4\nt(I1\nt", data=bytes(10**4)), "has no 4 numbers in the file"),
        (by_hand("I0\n(I4\nt(I1\nt", numbers="I-4\n"), "not a tensor"),
        (by_hand("I0\n(I4\nt(I1\nt", numbers="L" + "9" * 4000 + "L\n"), "has no 9,99"),
        (by_hand("I0\n(I4\nt(I1\nt", storage="cos\nsystem\n"), "not a tensor"),
        (by_hand("I0\n(I4\nt(I1\nt").replace(b"V0\nVcpu", b"V1\nVcpu"), "CRC"),
    ],
)
def test_sizes_are_checked_before_tensors_are_made(tmp_path: Path, data: bytes, fault: str) -> None:
    path = put(tmp_path, data)
    with pytest.raises(WeightsError, match=fault):
        tensors_of(path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", r"isn't a whole zip that torch\.save wrote \(File is not a zip file"),
        (pickle.dumps({}), r"isn't a whole zip"),
        (saved({}, legacy=True), r"isn't a whole zip"),
        (zip_of({"x/other": b""}), r"has 0 records data\.pkl, not 1"),
        (zip_of({"x/data.pkl": b"N.", "y/data.pkl": b"N."}), r"has 2 records data\.pkl, not 1"),
        (zip_of({"x/data.pkl": b"N."}, zipfile.ZIP_DEFLATED), "its zip unpacks to more than its"),
        (zip_of({"x/data.pkl": b"N.", "x/constants.pkl": b"N."}), "is a TorchScript program"),
        (zip_of({"x/data.pkl": b"N.", "x/byteorder": b"middle"}), "numbers in the byte order b'middle'"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    path = put(tmp_path, data)
    with pytest.raises(WeightsError, match=reason):
        tensors_of(path)


def test_a_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "program.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"program/{name}", b"N.")
    with pytest.raises(WeightsError, match="is a TorchScript program"):
        tensors_of(path)


@pytest.mark.parametrize("name", ["absent.bin", "", "\0"])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="there is no such file"):
        tensors_of(tmp_path / name)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    data = bytearray(by_hand("I0\n(I4\nt(I1\nt"))
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = data.find(mark)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(mark, at + 1)
    path = put(tmp_path, bytes(data))
    with pytest.raises(WeightsError, match="is encrypted"):
        tensors_of(path)


def test_a_long_pickle_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_zip, "MAX_PICKLE", 10)
    with pytest.raises(WeightsError, match=r"its pickle has [0-9,]+ bytes, more than 10"):
        tensors_of(put(tmp_path, saved({"a": torch.ones(1)})))


def test_a_broken_record_is_seen(tmp_path: Path) -> None:
    data = bytearray(saved({"a": torch.full((64,), 1.5)}))
    data[data.index(b"\0\0\xc0\x3f" * 8) + 3] ^= 1
    path = put(tmp_path, bytes(data))
    with pytest.raises(WeightsError, match="CRC"):
        tensors_of(path)


SOUND = saved({"a": torch.ones(3), "b": Other()})


@given(st.integers(0, len(SOUND) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, place: int, change: int
) -> None:
    data = bytearray(SOUND)
    data[place] ^= change
    path = put(tmp_path_factory.getbasetemp(), bytes(data))
    try:
        with open_torch_zip(path) as opened:
            found = opened.objects()
            if isinstance(found, dict) and "a" in found:
                assert opened.tensors({"a": found["a"]}, ArchiveLimits())["a"].numel() <= 3
    except WeightsError:
        pass


@pytest.mark.parametrize("length", range(0, len(SOUND), 41))
def test_wherever_a_file_is_cut_it_is_refused(tmp_path: Path, length: int) -> None:
    path = put(tmp_path, SOUND[:length])
    with pytest.raises(WeightsError, match="isn't a whole zip"):
        tensors_of(path)
