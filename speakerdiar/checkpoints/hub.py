"""Model repositories of the Hugging Face Hub: pinned, checked, and offline first.

What is pinned and in the cache is used without a request. Only the first pull, `force` and `update` ask the Hub. The
cache is that of huggingface_hub (`HF_HOME`, `HF_HUB_CACHE`), shared with all programs that use it.

Every file is checked when it is pulled: a large one by the SHA-256 that the Hub states, a small one by git's name of
its content. A load from the cache compares sizes alone: hashing half a gigabyte takes about as long as loading it, and
the types of file let through hold no code. `Snapshot.verify` hashes everything again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speakerdiar.checkpoints.digests import git_blob_of, sha256_of
from speakerdiar.checkpoints.hub_client import HubClient, Listing, Stated, folder_of
from speakerdiar.checkpoints.hub_files import SAFE_SUFFIXES, is_safe, is_weight, wanted
from speakerdiar.checkpoints.pins import CommitPin, FilePin, Pins, is_commit
from speakerdiar.errors import ConfigError, WeightsError

DEFAULT_REVISION = "main"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Snapshot:
    """Files of a repository at one commit, on this machine.

    Attributes:
        repo: `owner/name`.
        commit: 40 hex digits.
        folder: where the files lie.
        files: what was asked for, by name inside the folder, and what each must be.
        licence: what the repository states, "" for nothing.
    """

    repo: str
    commit: str
    folder: Path
    files: Mapping[str, FilePin]
    licence: str = ""

    @property
    def cache(self) -> Path:
        """The cache of all repositories: files of `folder` are links to somewhere in it."""
        return self.folder.parents[2]

    def verify(self) -> None:
        """Hash every file.

        Raises:
            WeightsError: a file isn't what was pulled; it is removed, so that the next pull brings it again.
        """
        for name, pin in self.files.items():
            _compare(self.folder / name, sha256_of(self.folder / name), pin.sha256, "what was pulled")


def is_repository(name: str) -> bool:
    """Whether a name has the form `owner/name`, as repositories on the Hub have."""
    return _REPOSITORY.fullmatch(name) is not None


def pull(
    repo: str,
    *,
    revision: str | None = None,
    token: str | None = None,
    files: Sequence[str] = (),
    sha256: Mapping[str, str] | None = None,
    licence: str = "",
    force: bool = False,
    update: bool = False,
) -> Snapshot:
    """Get the files of a repository from the cache or the Hub.

    Args:
        repo: `owner/name`.
        revision: a commit (40 hex digits), or a branch or tag, which is pinned to its commit at the first pull.
        token: for gated and private repositories; else HF_TOKEN or the one that `hf auth login` stored.
        files: names or patterns (`*.nemo`); by default the weights in the best form on offer, and what belongs to them.
        sha256: what files must be, by name, on top of what the Hub states.
        licence: of the weights, for the message where access must be asked for.
        force: fetch again what is in the cache.
        update: move the pin of the branch to where the branch stands now.

    Raises:
        MissingExtraError: huggingface_hub isn't installed.
        ConfigError: `repo` or `files` can't be used, or `update` is asked of a commit.
        UnknownModelError: there is no such repository or revision, or it is private.
        WeightsError: access is refused, the Hub can't be reached and the files aren't cached, they hold other bytes
            than they should, or the repository has no file that can be used.
    """
    _check_names(repo, files)
    client = HubClient(repo, revision or DEFAULT_REVISION, token, licence)
    if update and is_commit(client.revision):
        raise ConfigError(f"revision {revision} of {repo} is a commit, which never moves: name a branch to update to.")
    pins = Pins()
    commit = "" if update else _pinned(pins, client)
    kept = None if force or not commit else _cached(client, pins, commit, files)
    if kept is None:
        return _from_hub(client, pins, commit, _Asked(tuple(files), sha256 or {}, force, update))
    for name in kept.files.keys() & (sha256 or {}).keys():
        _compare(kept.folder / name, kept.files[name].sha256, (sha256 or {})[name], "what speakerdiar expects")
    return kept


def cached(repo: str, *, revision: str | None = None, files: Sequence[str] = ()) -> Snapshot | None:
    """Return what is pinned and in the cache, without a request, or None. Errors are those of `pull`."""
    _check_names(repo, files)
    client = HubClient(repo, revision or DEFAULT_REVISION)
    pins = Pins()
    commit = _pinned(pins, client)
    return _cached(client, pins, commit, files) if commit else None


@dataclass(frozen=True)
class _Asked:
    """What a caller of `pull` asked for, as there."""

    files: tuple[str, ...]
    sha256: Mapping[str, str]
    force: bool
    update: bool


def _check_names(repo: str, files: Sequence[str]) -> None:
    if not is_repository(repo):
        raise ConfigError(f"{repo!r} isn't the name of a model repository: write owner/name.")
    for name in files:
        if not is_safe(name):
            raise ConfigError(
                f"{name!r} of {repo} isn't fetched, since such a file can hold code: name files that end in "
                f"{', '.join(SAFE_SUFFIXES)}."
            )


def _pinned(pins: Pins, client: HubClient) -> str:
    return client.revision if is_commit(client.revision) else pins.commit_of(client.repo, client.revision)


def _cached(client: HubClient, pins: Pins, commit: str, files: Sequence[str]) -> Snapshot | None:
    """Return the snapshot, if all its files were pulled and lie in the cache with their sizes."""
    known = pins.files_of(client.repo, commit)
    chosen = {} if known is None else {name: known.files[name] for name in wanted(known.files, files)}
    folder = None
    for name, pin in chosen.items():
        path = client.in_cache(name, commit)
        if path is None or not pin.sha256 or path.stat().st_size != pin.size:
            return None
        folder = folder_of(path, name)
    return None if folder is None or known is None else Snapshot(client.repo, commit, folder, chosen, known.licence)


def _from_hub(client: HubClient, pins: Pins, commit: str, asked: _Asked) -> Snapshot:
    """Fetch, check and pin. Where the Hub can't be reached, take what other programs left in the cache."""
    try:
        listing = client.listing(commit)
        chosen = wanted(listing.files, asked.files)
        if not chosen:
            raise WeightsError(_nothing_to_fetch(client, listing, asked.files))
        paths = {name: client.download(name, listing.commit, force=asked.force) for name in chosen}
    except ConnectionError as error:
        left = None if asked.force or asked.update else _left_by_others(client, commit, asked)
        if left is None:
            raise WeightsError(_unreachable(client, asked.files, error)) from error
        return left
    fetched = {
        name: _checked(path, client, listing.files[name], asked.sha256.get(name)) for name, path in paths.items()
    }
    others = {name: FilePin(stated.size, stated.sha256) for name, stated in listing.files.items()}
    pins.record(client.repo, client.revision, listing.commit, CommitPin({**others, **fetched}, listing.licence))
    folder = folder_of(paths[chosen[0]], chosen[0])
    return Snapshot(client.repo, listing.commit, folder, fetched, listing.licence)


def _checked(path: Path, client: HubClient, stated: Stated, expected: str | None) -> FilePin:
    """Return what a fetched file is, once that is what the Hub and the caller say it is."""
    found = sha256_of(path)
    if expected:
        _compare(path, found, expected, "what speakerdiar expects")
    if stated.sha256:
        _compare(path, found, stated.sha256, "what the Hub states")
    elif stated.git_blob:
        _compare(path, git_blob_of(path), stated.git_blob, "what the Hub states")
    elif not expected:
        raise WeightsError(f"{client.endpoint} doesn't state what {path.name} of {client.repo} must be: it isn't used.")
    return FilePin(path.stat().st_size, found)


def _compare(path: Path, found: str, expected: str, by: str) -> None:
    """Raise WeightsError where a file isn't what it must be, and take it out of the cache."""
    if found == expected:
        return
    for each in list(_hops(path)):
        each.unlink(missing_ok=True)
    raise WeightsError(
        f"{path} isn't {by} (its hash is {found}, not {expected}): it was removed. Pull it again; if that "
        "doesn't help, don't use it, and tell who publishes it."
    )


def _hops(path: Path) -> Iterator[Path]:
    """Yield a file of the cache and what it links to, step by step: its blob, and the store that repositories share."""
    yield path
    while path.is_symlink():
        path = Path(os.path.normpath(path.parent / os.readlink(path)))
        yield path


def _left_by_others(client: HubClient, commit: str, asked: _Asked) -> Snapshot | None:
    """Return what other programs put into the cache. It isn't pinned, since nobody said what it must be.

    The cache itself says it of large files: its link leads to a blob that is named by its SHA-256.
    """
    left = client.left_in_cache(commit)
    if left is None:
        return None
    found, folder = left
    names = wanted([file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()], asked.files)
    files = {}
    for name in names:
        path = folder / name
        digest = sha256_of(path)
        blob = Path(os.readlink(path)).name if path.is_symlink() else ""
        _compare(path, digest, asked.sha256.get(name, digest), "what speakerdiar expects")
        _compare(path, digest, blob if _SHA256.fullmatch(blob) else digest, "what the Hub stated")
        files[name] = FilePin(path.stat().st_size, digest)
    return Snapshot(client.repo, found, folder, files) if files else None


def _nothing_to_fetch(client: HubClient, listing: Listing, files: Sequence[str]) -> str:
    asked = f" that match {', '.join(files)}" if files else ""
    refused = [name for name in listing.refused if name.endswith((".bin", ".pt", ".pth", ".ckpt", ".pkl", ".py"))]
    held = f" It has {', '.join(refused)}, which can hold code and isn't read." if refused else ""
    offered = [name for name in listing.files if is_weight(name)]
    offer = f" It offers {', '.join(offered)}." if offered else ""
    return f"{client.repo} has no weights in a safe format{asked}.{held}{offer}"


def _unreachable(client: HubClient, files: Sequence[str], error: ConnectionError) -> str:
    what = ", ".join(files) if files else "its weights"
    return (
        f"{client.repo} isn't in the cache ({client.cache}) and {client.endpoint} can't be reached ({error}), so "
        f"{what} can't be had. On a connected machine run `speakerdiar models pull {client.repo}`, copy the folder "
        "that it prints, and load the model by the folder's path."
    )
