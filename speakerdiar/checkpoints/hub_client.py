"""What is asked of huggingface_hub, in one place: its settings, its cache, its errors in our words."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import NoReturn

from speakerdiar.checkpoints.hub_files import is_safe
from speakerdiar.errors import MissingExtraError, UnknownModelError, WeightsError

_TIMEOUT = 10.0  # seconds until the Hub says what a repository holds
_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)
# The Hub is told no more than this: neither versions nor which packages are installed.
_HEADERS = {"user-agent": "speakerdiar"}


@dataclass(frozen=True)
class Stated:
    """What the Hub states of a file.

    Attributes:
        size: bytes.
        sha256: of a large file, which git keeps elsewhere; "" for others.
        git_blob: git's name of a small file's content; "" for others.
    """

    size: int
    sha256: str = ""
    git_blob: str = ""


@dataclass(frozen=True)
class Listing:
    """A repository at a commit: files of safe types, names of those refused, and the licence stated ("" for none)."""

    commit: str
    files: Mapping[str, Stated]
    refused: tuple[str, ...]
    licence: str


class HubClient:
    """One repository at one revision, through huggingface_hub.

    Args:
        repo: `owner/name`.
        revision: commit, branch or tag.
        token: None for the one that huggingface_hub knows (HF_TOKEN, `hf auth login`).
        licence: for the message where access is refused.

    Raises:
        MissingExtraError: huggingface_hub isn't installed.
    """

    def __init__(self, repo: str, revision: str, token: str | None = None, licence: str = "") -> None:
        self.repo = repo
        self.revision = revision
        self._token = token
        self._licence = licence
        self._library = _library()
        # huggingface_hub reads these when it is imported, which may be long ago.
        constants = self._library.constants
        self.endpoint = (os.environ.get("HF_ENDPOINT") or str(constants.ENDPOINT)).rstrip("/")
        self.cache = _cache_folder(str(constants.HF_HUB_CACHE))

    def listing(self, commit: str = "") -> Listing:
        """Ask what the repository holds, at a commit or else where the revision stands.

        Raises:
            ConnectionError: no answer.
            UnknownModelError: no such repository or revision.
            WeightsError: access is refused, or the answer is about another commit.
        """
        with self._asking():
            api = self._library.HfApi(endpoint=self.endpoint, token=self._token, headers=_HEADERS)
            info = api.model_info(self.repo, revision=commit or self.revision, files_metadata=True, timeout=_TIMEOUT)
        if commit and info.sha != commit:
            raise WeightsError(f"{self.endpoint} answers with commit {info.sha} of {self.repo}, not {commit}.")
        siblings = info.siblings or []
        files = {
            sibling.rfilename: Stated(
                sibling.size or 0,
                sibling.lfs.sha256 if sibling.lfs else "",
                "" if sibling.lfs else sibling.blob_id or "",
            )
            for sibling in siblings
            if is_safe(sibling.rfilename)
        }
        refused = tuple(sibling.rfilename for sibling in siblings if not is_safe(sibling.rfilename))
        return Listing(info.sha, files, refused, str((info.card_data or {}).get("license") or ""))

    def download(self, name: str, commit: str, *, force: bool = False) -> Path:
        """Fetch one file into the cache, unless it is there, and return its path.

        Raises:
            ConnectionError: no answer, or the connection broke.
            WeightsError: access is refused, or the disk is full.
        """
        with self._asking():
            return Path(
                self._library.hf_hub_download(
                    self.repo,
                    name,
                    revision=commit,
                    token=self._token,
                    cache_dir=self.cache,
                    endpoint=self.endpoint,
                    headers=_HEADERS,
                    force_download=force,
                )
            )

    def in_cache(self, name: str, commit: str) -> Path | None:
        """Return where a file lies in the cache, or None. Nothing is asked of the Hub."""
        found = self._library.try_to_load_from_cache(self.repo, name, cache_dir=self.cache, revision=commit)
        return Path(found) if isinstance(found, str) and os.path.isfile(found) else None

    def left_in_cache(self, commit: str = "") -> tuple[str, Path] | None:
        """Return commit and folder of what any program put into the cache, or None.

        Without a commit, it is the one at which the revision was last seen.
        """
        if not self.cache.is_dir():
            return None
        for repo in self._library.scan_cache_dir(self.cache).repos:
            if (repo.repo_id, repo.repo_type) == (self.repo, "model"):
                for found in repo.revisions:
                    if found.commit_hash == commit or (not commit and self.revision in found.refs):
                        return found.commit_hash, found.snapshot_path
        return None

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Ask no more than is needed, and report what goes wrong in our words."""
        # The first base of HfHubHTTPError is the error of the HTTP client that this huggingface_hub is built on.
        client_error, *_ = self._library.errors.HfHubHTTPError.__bases__
        if _is_offline():
            raise ConnectionError("HF_HUB_OFFLINE is set")
        constants = self._library.constants
        silent = constants.HF_HUB_DISABLE_TELEMETRY
        # Otherwise huggingface_hub may ask another question first, by which it tells what program it runs under.
        constants.HF_HUB_DISABLE_TELEMETRY = True
        try:
            yield
        except (client_error, OSError, ValueError, self._library.errors.EntryNotFoundError) as error:
            # huggingface_hub wraps some of its own errors into a general "can't find it" or "can't force it".
            cause = error.__cause__
            self._explain(cause if isinstance(cause, self._library.errors.HfHubHTTPError) else error)
        finally:
            constants.HF_HUB_DISABLE_TELEMETRY = silent

    def _explain(self, error: BaseException) -> NoReturn:
        errors = self._library.errors
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, errors.GatedRepoError) or status == 403:
            raise WeightsError(self._refused()) from error
        if status == 401 and self._has_token:
            raise WeightsError(
                f"{self.endpoint} doesn't know the token sent for {self.repo}: make a new one at "
                f"{self.endpoint}/settings/tokens and pass it as token=... or in HF_TOKEN."
            ) from error
        if isinstance(error, errors.RevisionNotFoundError):
            raise UnknownModelError(
                f"{self.repo} has no revision {self.revision!r}: see {self._page}/commits."
            ) from error
        # 401 without a token: the Hub doesn't tell strangers which private repositories there are.
        if status == 401 or isinstance(error, (errors.RepositoryNotFoundError, errors.HFValidationError)):
            raise UnknownModelError(
                f"There is no model repository {self.repo} at {self.endpoint}, or it is private: check the name, or "
                "pass token=... (or HF_TOKEN) of an account that may read it."
            ) from error
        if isinstance(error, OSError) and error.errno in _DISK_FAULTS:
            raise WeightsError(
                f"{self.cache}: {error.strerror}, so {self.repo} can't be fetched: make room, or name another "
                "folder in HF_HUB_CACHE."
            ) from error
        lines = str(error).strip().splitlines()
        raise ConnectionError(lines[0] if lines else type(error).__name__) from error

    def _refused(self) -> str:
        under = f" (licence: {self._licence})" if self._licence else ""
        remedy = (
            "the account of your token may not read it yet: accept the licence there, or use another account's token"
            if self._has_token
            else "accept the licence there, then pass token=... or set HF_TOKEN to a token of that account "
            f"({self.endpoint}/settings/tokens)"
        )
        return f"{self.repo} is gated{under}. Access is granted at {self._page}: {remedy}."

    @property
    def _has_token(self) -> bool:
        return bool(self._token or self._library.get_token())

    @property
    def _page(self) -> str:
        return f"{self.endpoint}/{self.repo}"


def folder_of(file: Path, name: str) -> Path:
    """Return the folder that `file` has the relative name `name` in."""
    return file.parents[len(PurePosixPath(name).parts) - 1]


def _library() -> ModuleType:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
    except ImportError:
        raise MissingExtraError("huggingface_hub", "hub", "Loading models by their name on the Hub") from None
    return huggingface_hub


def _cache_folder(otherwise: str) -> Path:
    if named := os.environ.get("HF_HUB_CACHE"):
        return Path(named).expanduser()
    if named := os.environ.get("HF_HOME"):
        return Path(named).expanduser() / "hub"
    return Path(otherwise)


def _is_offline() -> bool:
    return any(
        os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE")
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )
