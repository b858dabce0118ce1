"""State dicts out of what torch.save wrote: plain tensors, and no code."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from nemo_files import WEIGHTS, saved

from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.checkpoints.tensors import read_tensors
from speakerdiar.errors import WeightsError

both_containers = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "bare"])


def read(data: bytes, limits: ArchiveLimits | None = None) -> dict[str, torch.Tensor]:
    return read_tensors(io.BytesIO(data), len(data), limits or ArchiveLimits(), "weights.ckpt")


class Payload:
    """Writes a marker when it is unpickled, if anything lets it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.marker), "w")


class Wrapped(torch.Tensor):
    """A tensor with a class of its own."""


@both_containers
def test_tensors_come_back_as_they_were(legacy: bool) -> None:
    weights = WEIGHTS | {
        "half": torch.ones(3, dtype=torch.float16),
        "brain": torch.ones(2, dtype=torch.bfloat16),
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "turned": torch.arange(6.0).reshape(2, 3).t(),
        "tied": WEIGHTS["a.weight"],
        "asks": torch.ones(2, requires_grad=True),
    }
    found = read(saved(OrderedDict(weights), legacy=legacy))
    assert type(found) is dict
    assert list(found) == list(weights)
    for name, value in weights.items():
        assert found[name].dtype == value.dtype
        torch.testing.assert_close(found[name], value.detach(), rtol=0, atol=0)
        assert not found[name].requires_grad


@both_containers
def test_code_in_a_pickle_is_refused_and_does_not_run(tmp_path: Path, legacy: bool) -> None:
    marker = tmp_path / "marker"
    data = saved(WEIGHTS | {"code": Payload(marker)}, legacy=legacy)
    with pytest.raises(WeightsError, match=r"weights\.ckpt is refused, .* asks for _?io\.open: .*never code"):
        read(data)
    assert not marker.exists()
    torch.load(io.BytesIO(data), weights_only=False)["code"].close()  # it would have worked
    assert marker.exists()


def test_a_plain_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with pytest.raises(WeightsError, match=r"isn't a file that torch\.save wrote"):
        read(pickle.dumps(Payload(marker)))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ([torch.ones(1)], "holds a list"),
        (torch.ones(1), "holds a Tensor"),
        ({"a": {"b": torch.ones(1)}}, "'a' is a dict"),
        ({"a": [torch.ones(1)]}, "'a' is a list"),
        ({"a": 1.5}, "'a' is a float"),
        ({1: torch.ones(1)}, "1 isn't text"),
        ({"a": torch.ones(2, 2).to_sparse()}, "'a' is sparse"),
        ({"a": torch.nn.Parameter(torch.ones(2))}, "'a' is a Parameter"),
        ({"a": torch.empty(2, device="meta")}, "'a' has no data on the CPU"),
        ({"a": torch.ones(1).expand(10**9)}, "'a' is a tensor of 4,000,000,000 bytes over 4 bytes of data"),
    ],
)
def test_anything_but_plain_tensors_by_name_is_refused(weights: object, reason: str) -> None:
    with pytest.raises(WeightsError, match=rf"weights\.ckpt:? {reason}"):
        read(saved(weights))


@both_containers
def test_a_tensor_subclass_is_refused(legacy: bool) -> None:
    with pytest.raises(WeightsError, match=r"weights\.ckpt is refused, as its pickle asks for .*_rebuild_from_type_v2"):
        read(saved({"a": torch.ones(2).as_subclass(Wrapped)}, legacy=legacy))


def test_all_tensors_together_have_a_limit() -> None:
    """Names that share one storage cost nothing in the file."""
    data = saved(dict.fromkeys("abcdefgh", torch.ones(100)))
    assert len(read(data, ArchiveLimits(max_weights_bytes=3200))) == 8
    with pytest.raises(WeightsError, match="bytes of all tensors: 3,200 is beyond max_weights_bytes=3,199"):
        read(data, ArchiveLimits(max_weights_bytes=3199))


def test_a_compressed_zip_is_refused_before_it_is_unpacked() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(WEIGHTS))) as source, zipfile.ZipFile(packed, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name), compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="its zip unpacks to more than its"):
        read(packed.getvalue())


def test_a_zip_that_promises_more_than_it_has_is_refused() -> None:
    data = bytearray(saved(WEIGHTS))
    central = data.rindex(b"PK\x01\x02")
    struct.pack_into("<II", data, central + 20, 2**31, 2**31)  # packed and unpacked size of the last record
    with pytest.raises(WeightsError, match=r"its zip unpacks to more|isn't a whole zip archive"):
        read(bytes(data))


def test_a_tensor_that_reaches_beyond_its_record_is_refused() -> None:
    rewritten = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved({"a": torch.zeros(4)}))) as source, zipfile.ZipFile(rewritten, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data.replace(b"K\x04", b"M\xff\xff") if name.endswith("data.pkl") else data)
    with pytest.raises(WeightsError, match=r"weights\.ckpt is refused: "):
        read(rewritten.getvalue())


@pytest.mark.parametrize("name", ["archive/DATA.PKL", "other/data.pkl"])
def test_a_second_pickle_is_refused(name: str) -> None:
    """PyTorch finds records in any case, so that it might read another one than was looked at."""
    stream = io.BytesIO(saved(WEIGHTS))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(name, b"\x80\x02}.")
    with pytest.raises(WeightsError, match=r"has 2 records data\.pkl, not 1"):
        read(stream.getvalue())


def test_a_program_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(WEIGHTS))) as source, zipfile.ZipFile(stream, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
        target.writestr("archive/constants.pkl", b"")
    with pytest.raises(WeightsError, match="is a TorchScript program"):
        read(stream.getvalue())


@pytest.mark.parametrize("data", [b"", b"junk", b"PK\x03\x04", b"PK\x03\x04" + bytes(500)])
def test_what_torch_did_not_write_is_refused(data: bytes) -> None:
    with pytest.raises(WeightsError, match=r"weights\.ckpt isn't a "):
        read(data)


@both_containers
def test_wherever_the_data_is_cut_it_is_refused(legacy: bool) -> None:
    data = saved(WEIGHTS, legacy=legacy)
    for length in range(0, len(data) - 1, 13):
        with pytest.raises(WeightsError, match=r"weights\.ckpt"):
            read(data[:length])
