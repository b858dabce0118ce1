"""Pins: which commit of a repository was taken, and what each of its files must be.

A branch moves; results must not move with it. The first pull writes down where the branch stood, with the SHA-256 of
all that was fetched, and every later load takes exactly that. The pins stand in one JSON file, `pins.json`:

    {"version": 1,
     "repositories": {"owner/name": {"revisions": {"main": COMMIT},
                                     "commits": {COMMIT: {"licence": "cc-by-4.0",
                                                          "files": {"x.nemo": {"size": 5, "sha256": "..."}}}}}}}
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from speakerdiar.errors import WeightsError

_VERSION = 1
_NOTHING: Mapping[str, Any] = {"revisions": {}, "commits": {}}
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class FilePin:
    """What a file of a repository must be.

    Attributes:
        size: bytes.
        sha256: hex; "" for a small file that wasn't fetched yet (of those, the Hub states no SHA-256).
    """

    size: int
    sha256: str


@dataclass(frozen=True)
class CommitPin:
    """All files of safe types at a commit, by name, and the licence that the repository states ("" for none)."""

    files: Mapping[str, FilePin]
    licence: str = ""


def home() -> Path:
    """Return the folder of what speakerdiar keeps: $SPEAKERDIAR_HOME, or speakerdiar in the user's cache folder."""
    if named := os.environ.get("SPEAKERDIAR_HOME"):
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "speakerdiar"


def is_commit(revision: str) -> bool:
    """Whether a revision is a whole commit hash, which always means the same files."""
    return _COMMIT.fullmatch(revision) is not None


class Pins:
    """The pin file. Every call reads it anew, so that several processes can share it.

    Args:
        path: the file; by default `pins.json` in `home()`.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "pins.json"

    def commit_of(self, repo: str, revision: str) -> str:
        """Return the commit that a branch or tag is pinned to, or "".

        Raises:
            WeightsError: the pin file can't be read, or isn't one.
        """
        commit = self._repository(repo)["revisions"].get(revision, "")
        if commit and not (isinstance(commit, str) and is_commit(commit)):
            raise self._broken(f"{commit!r} is no commit of {repo}")
        return str(commit)

    def files_of(self, repo: str, commit: str) -> CommitPin | None:
        """Return what is known of a commit, or None.

        Raises:
            WeightsError: the pin file can't be read, or isn't one.
        """
        entry = self._repository(repo)["commits"].get(commit)
        if entry is None:
            return None
        try:
            files = {name: FilePin(int(pin["size"]), str(pin["sha256"])) for name, pin in entry["files"].items()}
            return CommitPin(files, str(entry["licence"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._broken(f"{repo} at {commit}") from error

    def record(self, repo: str, revision: str, commit: str, pin: CommitPin) -> None:
        """Write a pin down: `revision` now means `commit`. SHA-256 that are known already are kept.

        The file is replaced whole, under a lock: other processes that pin at the same time lose nothing.

        Raises:
            WeightsError: the file can't be written.
        """
        import filelock

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(f"{self.path}.lock"):
                self._write(repo, revision, commit, pin)
        except OSError as error:
            raise WeightsError(
                f"{self.path}: can't be written ({error.strerror or error}), so {repo} can't be pinned: make it "
                "writable, or name another folder in SPEAKERDIAR_HOME."
            ) from error

    def _write(self, repo: str, revision: str, commit: str, pin: CommitPin) -> None:
        known = self.files_of(repo, commit)
        files = {
            name: FilePin(file.size, file.sha256 or (known.files[name].sha256 if known and name in known.files else ""))
            for name, file in pin.files.items()
        }
        everything = self._read()
        entry = everything["repositories"].setdefault(repo, {"revisions": {}, "commits": {}})
        if revision != commit:
            entry["revisions"][revision] = commit
        entry["commits"][commit] = asdict(CommitPin(files, pin.licence))
        beside = self.path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            beside.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            os.replace(beside, self.path)
        finally:
            beside.unlink(missing_ok=True)

    def _repository(self, repo: str) -> dict[str, Any]:
        entry: dict[str, Any] = self._read()["repositories"].get(repo, _NOTHING)
        if not isinstance(entry, dict) or not all(isinstance(entry.get(part), dict) for part in _NOTHING):
            raise self._broken(repo)
        return entry

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {"version": _VERSION, "repositories": {}}
        except OSError as error:
            raise WeightsError(f"{self.path}: can't be read ({error.strerror or error}): make it readable.") from error
        except ValueError as error:
            raise self._broken("it is not JSON") from error
        if not isinstance(content, dict) or not isinstance(content.get("repositories"), dict):
            raise self._broken("it has no repositories")
        if content.get("version") != _VERSION:
            raise self._broken(f"version {content.get('version')!r}, not {_VERSION}")
        return content

    def _broken(self, where: str) -> WeightsError:
        return WeightsError(
            f"{self.path}: isn't a pin file of this version ({where}): repair it, or remove it and pull again."
        )
