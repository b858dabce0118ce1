"""Fingerprints of files, as weight files are published with."""

from __future__ import annotations

import hashlib
from pathlib import Path

_BLOCK = 1 << 20


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file in hex, reading it in blocks."""
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def git_blob_of(file: Path) -> str:
    """Return the name that git gives to a file's content: SHA-1 over `blob SIZE`, a zero byte, and the content."""
    digest = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    with open(file, "rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
