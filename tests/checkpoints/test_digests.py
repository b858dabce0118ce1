"""Fingerprints of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from speakerdiar.checkpoints.digests import git_blob_of, sha256_of


@pytest.mark.parametrize(
    ("content", "sha256", "blob"),
    [
        # What `sha256sum` and `git hash-object` print.
        (
            b"",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
        ),
        (
            b"hello\n",
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
            "ce013625030ba8dba906f756967f9e9ca394464a",
        ),
    ],
)
def test_fingerprints_are_those_of_sha256sum_and_git(tmp_path: Path, content: bytes, sha256: str, blob: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert (sha256_of(file), git_blob_of(file)) == (sha256, blob)


def test_a_file_of_several_blocks_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(3 * 2**20 + 1))
    assert sha256_of(file) == "5983281b51c767c831104f52c95e4075f27e6f4fa8dd0526e3929f79176a1217"
    assert git_blob_of(file) == "cf5e4e28b46a79f71ba67720a8fafd00f914b318"
