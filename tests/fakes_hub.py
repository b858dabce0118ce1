"""A Hub of model repositories on the loopback interface, which speaks as much of the Hub's protocol as clients need."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

LARGE = (".nemo", ".safetensors", ".bin", ".onnx")  # kept outside of git, named by their SHA-256


@dataclass
class FakeRepo:
    """A repository: files at commits, and branches that name one."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    licence: str = "cc-by-4.0"
    gated: bool = False
    stated: bool = True  # whether the Hub states hashes

    def push(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        """Put files on a branch and return the commit."""
        commit = hashlib.sha1(repr((sorted(files.items()), len(self.commits))).encode()).hexdigest()
        self.commits[commit] = dict(files)
        self.branches[branch] = commit
        return commit


@dataclass
class FakeHub:
    """The server, and what was asked of it.

    Attributes:
        url: of the server.
        repos: by `owner/name`.
        tokens: those that are known, and whether each may read gated repositories.
        altered: bytes served in place of a file's own, by file name.
        requests: `METHOD path` of every request.
        agents: user agents of the requests.
        status: answered to everything, where it isn't 0.
    """

    url: str = ""
    repos: dict[str, FakeRepo] = field(default_factory=dict)
    tokens: dict[str, bool] = field(default_factory=dict)
    altered: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    status: int = 0

    def add(self, name: str, files: Mapping[str, bytes], **settings: Any) -> FakeRepo:
        """Make a repository with these files on `main`."""
        self.repos[name] = FakeRepo(**settings)
        self.repos[name].push(files)
        return self.repos[name]


@contextmanager
def serving() -> Iterator[FakeHub]:
    """Run a FakeHub until the block ends."""
    hub = FakeHub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


_SETTINGS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


@contextmanager
def fresh_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """Run a FakeHub for a machine that keeps everything in `folder`, has nothing yet, and no token."""
    for name in _SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(folder / "no-token"))
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))
    monkeypatch.setenv("SPEAKERDIAR_HOME", str(folder / "home"))
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        # Whatever happens, nobody else is asked.
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield hub


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        self.hub.agents.add(self.headers.get("user-agent", ""))
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        parts = path.strip("/").split("/")
        if self.hub.status:
            self._send(self.hub.status)
        elif token and token not in self.hub.tokens:
            self._send(401, {"X-Error-Message": "Invalid credentials in Authorization header"})
        elif parts[0] == "cdn":
            self._send(200, body=self._stored(*parts[1:]))
        elif parts[:2] == ["api", "models"]:
            self._info("/".join(parts[2:4]), "/".join(parts[5:]) or "main")
        elif parts[2:3] != ["resolve"]:
            self._send(404)
        else:
            self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]), token)

    def _info(self, name: str, revision: str) -> None:
        repo = self.hub.repos.get(name)
        if repo is None:
            self._send(401, {"X-Error-Message": "Invalid username or password."})
            return
        commit = repo.branches.get(revision, revision)
        if commit not in repo.commits:
            self._send(404, {"X-Error-Code": "RevisionNotFound"})
            return
        siblings = [_sibling(file, content, repo.stated) for file, content in repo.commits[commit].items()]
        card = {"license": repo.licence} if repo.licence else {}
        answer = {"id": name, "sha": commit, "siblings": siblings, "cardData": card}
        self._send(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())

    def _file(self, name: str, revision: str, file: str, token: str) -> None:
        repo = self.hub.repos[name]
        if repo.gated and not self.hub.tokens.get(token, False):
            self._send(403 if token else 401, {"X-Error-Code": "GatedRepo", "X-Error-Message": f"{name} is restricted"})
            return
        commit = repo.branches.get(revision, revision)
        content = repo.commits[commit][file]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_git_blob(content)}"'}
        if not file.endswith(LARGE):
            self._send(200, headers, self.hub.altered.get(file, content))
            return
        headers |= {"X-Linked-Etag": f'"{_sha256(content)}"', "X-Linked-Size": str(len(content))}
        # The real Hub keeps large files on another host, too.
        store = self.hub.url.replace("127.0.0.1", "localhost")
        self._send(302, headers | {"Location": f"{store}/cdn/{name}/{commit}/{file}"})

    def _stored(self, owner: str, name: str, commit: str, *file: str) -> bytes:
        path = "/".join(file)
        return self.hub.altered.get(path, self.hub.repos[f"{owner}/{name}"].commits[commit][path])

    def _send(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _sibling(file: str, content: bytes, stated: bool) -> dict[str, Any]:
    sibling: dict[str, Any] = {"rfilename": file, "size": len(content)}
    if stated:
        sibling["blobId"] = _git_blob(content)
    if stated and file.endswith(LARGE):
        sibling["lfs"] = {"size": len(content), "sha256": _sha256(content), "pointerSize": 130}
    return sibling


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
