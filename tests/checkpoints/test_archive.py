"""Archives that were made to mislead, and archives that were damaged."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
import tracemalloc
from pathlib import Path

import pytest
from nemo_files import CONFIG, Entry, nemo_file, sound, tar_of

from speakerdiar.checkpoints.archive import Archive
from speakerdiar.checkpoints.limits import ArchiveLimits
from speakerdiar.errors import WeightsError

WANTED = {"model_config.yaml": "max_config_bytes", "model_weights.ckpt": "max_weights_bytes"}
both_ways = pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])


def contents(path: Path, limits: ArchiveLimits | None = None) -> dict[str, bytes]:
    with Archive(path, limits or ArchiveLimits()) as archive:
        return {member.name: archive.view(member).read() for member in archive.members(WANTED)}


@both_ways
def test_wanted_members_come_whole_and_others_are_passed_over(tmp_path: Path, packed: bool) -> None:
    path = nemo_file(
        tmp_path,
        Entry(".", fields={"type": tarfile.DIRTYPE}),
        Entry("0123_vocab.txt", b"a word\n"),
        Entry("folder/model_config.yaml", b"another"),
        *sound(),
        Entry("latest", fields={"type": tarfile.SYMTYPE, "linkname": "/etc/hostname"}),
        packed=packed,
    )
    assert contents(path) == {entry.name.removeprefix("./"): entry.data for entry in sound()}


@both_ways
def test_a_view_reads_like_a_file_of_its_own(tmp_path: Path, packed: bool) -> None:
    path = nemo_file(tmp_path, Entry("model_config.yaml", b"0123456789"), Entry("behind", b"behind"), packed=packed)
    with Archive(path, ArchiveLimits()) as archive:
        [member] = archive.members(WANTED)
        view = archive.view(member)
        assert view.seek(-3, io.SEEK_END) == 7
        assert view.read() == b"789"
        assert view.seek(2) == 2
        assert view.read(3) == b"234"
        assert view.seek(1, io.SEEK_CUR) == 6
        assert view.read(100) == b"6789"
        assert view.seek(50) == 50
        assert view.read() == b""
        with pytest.raises(ValueError, match="before the start"):
            view.seek(-11, io.SEEK_END)


@both_ways
@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"type": tarfile.SYMTYPE, "linkname": "/etc/hostname"}, "a link to '/etc/hostname'"),
        ({"type": tarfile.LNKTYPE, "linkname": "other"}, "a link to 'other'"),
        ({"type": tarfile.DIRTYPE}, "a folder"),
        ({"type": tarfile.FIFOTYPE}, "a device"),
        ({"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}, "a device"),
        ({"type": tarfile.BLKTYPE}, "a device"),
        ({"type": tarfile.CONTTYPE}, "a device"),
    ],
)
def test_a_wanted_member_must_be_a_plain_file(
    tmp_path: Path, fields: dict[str, object], kind: str, packed: bool
) -> None:
    path = nemo_file(tmp_path, Entry("./model_config.yaml", fields=fields), packed=packed)
    with pytest.raises(WeightsError, match=rf"'\./model_config\.yaml' is refused, as it is {kind}"):
        contents(path)


def test_a_sparse_member_is_refused(tmp_path: Path) -> None:
    """Its few bytes would unpack to as many zeros as it likes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        header = tarfile.TarInfo("model_weights.ckpt")
        header.size = 512
        header.pax_headers = {
            "GNU.sparse.major": "0",
            "GNU.sparse.minor": "1",
            "GNU.sparse.size": str(2**30),
            "GNU.sparse.map": "0,1",
        }
        tar.addfile(header, io.BytesIO(bytes(512)))
    path = tmp_path / "sparse.nemo"
    path.write_bytes(stream.getvalue())
    with pytest.raises(WeightsError, match=r"'model_weights\.ckpt' is refused, as it is sparse"):
        contents(path)


@pytest.mark.parametrize(
    "name",
    ["../marker", "a/../../marker", "/tmp/marker", "..", "./../marker", "..\\marker", "C:\\marker", "\\\\host\\marker"],
)
def test_no_name_may_lead_out_of_the_archive(tmp_path: Path, name: str) -> None:
    (tmp_path / "deep").mkdir()
    path = nemo_file(tmp_path / "deep", Entry(name, b"x"), *sound())
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WeightsError, match="is refused, as its name leads out of the archive"):
        contents(path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("second", ["model_config.yaml", "./model_config.yaml"])
def test_a_member_that_stands_there_twice_is_refused(tmp_path: Path, second: str) -> None:
    path = nemo_file(tmp_path, *sound(), Entry(second, CONFIG))
    with pytest.raises(WeightsError, match=rf"'{second}' is refused, as it stands there twice"):
        contents(path)


@both_ways
@pytest.mark.parametrize("size", [10 * 10**9, 10**15])
def test_a_declared_size_is_checked_before_anything_is_read(tmp_path: Path, size: int, packed: bool) -> None:
    path = nemo_file(tmp_path, Entry("./model_weights.ckpt", b"x", {"size": size}), packed=packed)
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=r"'\./model_weights\.ckpt'.*is beyond max_weights_bytes=4,294,967,296"):
            contents(path)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


@both_ways
def test_members_that_are_passed_over_count_too(tmp_path: Path, packed: bool) -> None:
    path = nemo_file(tmp_path, Entry("other", bytes(2000)), *sound(), packed=packed)
    with pytest.raises(WeightsError, match=r"up to the member 'other': 2,000 is beyond max_bytes=1,999"):
        contents(path, ArchiveLimits(max_bytes=1999))
    with pytest.raises(WeightsError, match="number of members: 3 is beyond max_members=2"):
        contents(path, ArchiveLimits(max_members=2))
    assert len(contents(path, ArchiveLimits(max_members=3))) == 2


def test_a_negative_size_does_not_lead_in_a_circle(tmp_path: Path) -> None:
    path = nemo_file(tmp_path, Entry("other", b"", {"size": -1024}), *sound())
    with pytest.raises(WeightsError, match="'other' is refused, as its size is -1024"):
        contents(path)


@both_ways
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_can_not_ask_for_gigabytes(tmp_path: Path, kind: bytes, packed: bool) -> None:
    path = nemo_file(tmp_path, Entry("header", b"", {"type": kind, "size": 2 * 2**30}), packed=packed)
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=r"isn't a whole tar archive \(headers of 2,147,483,648 bytes\)"):
            contents(path)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


def test_headers_upon_headers_are_refused(tmp_path: Path) -> None:
    name = Entry("header", b"name\0", {"type": tarfile.GNUTYPE_LONGNAME})
    with pytest.raises(WeightsError, match="isn't a whole tar archive"):
        contents(nemo_file(tmp_path, *[name] * 5000))


def test_a_gzip_bomb_is_refused_early(tmp_path: Path) -> None:
    """50 MB of zeros in 50 kB: refused by what the header declares, or at the limit of what is passed over."""
    path = nemo_file(tmp_path, Entry("model_config.yaml", bytes(50 * 10**6)), packed=True)
    assert path.stat().st_size < 60_000
    began = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match="50,000,000 is beyond max_config_bytes=1,048,576"):
            contents(path)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 5


def test_an_archive_may_be_empty(tmp_path: Path) -> None:
    """Zeros are where a tar ends; what comes behind isn't unpacked."""
    path = tmp_path / "zeros.nemo"
    path.write_bytes(gzip.compress(bytes(10**7)))
    assert contents(path) == {}


@both_ways
def test_wherever_a_file_is_cut_it_is_whole_or_refused(tmp_path: Path, packed: bool) -> None:
    data = tar_of(*sound())
    data = gzip.compress(data) if packed else data
    path = tmp_path / "cut.nemo"
    whole = {entry.name.removeprefix("./"): entry.data for entry in sound()}
    refused = 0
    for length in [*range(0, len(data), 37), len(data)]:
        path.write_bytes(data[:length])
        try:
            found = contents(path)
        except WeightsError:
            refused += 1
        else:
            assert all(whole[name] == found[name] for name in found)
    assert refused > 10


@pytest.mark.parametrize("data", [b"", b"junk", b"PK\x03\x04" + bytes(600), b"\x1f\x8b" + bytes(20), b"x" * 2000])
def test_what_is_no_tar_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "junk.nemo"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"junk\.nemo isn't a whole tar archive \(.+\): get the file anew"):
        contents(path)


def test_absent_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent\.nemo: No such file"):
        contents(tmp_path / "absent.nemo")
    with pytest.raises(WeightsError, match="give a file that can be read"):
        contents(tmp_path)
