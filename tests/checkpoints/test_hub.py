"""Models of the Hub: pinned, checked, offline first. The Hub is a server on the loopback interface."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from fakes_hub import FakeHub, fresh_machine

from speakerdiar.checkpoints import hub
from speakerdiar.checkpoints.pins import Pins
from speakerdiar.errors import ConfigError, MissingExtraError, UnknownModelError, WeightsError

NAME = "someone/diarizer"
WEIGHTS = b"weights" * 1000
FILES = {"diarizer.nemo": WEIGHTS, "README.md": b"# A model\n", "model.py": b"boom()", "pytorch_model.bin": b"boom"}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A Hub, and a machine that has nothing yet."""
    with fresh_machine(tmp_path, monkeypatch) as running:
        yield running


@pytest.fixture
def nobody(server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point to a port where nobody listens, in place of the server."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


def test_a_first_pull_brings_weights_and_pins_them(server: FakeHub, tmp_path: Path) -> None:
    repo = server.add(NAME, FILES)
    snapshot = hub.pull(NAME)
    assert (snapshot.folder / "diarizer.nemo").read_bytes() == WEIGHTS
    assert sorted(path.name for path in snapshot.folder.iterdir()) == ["README.md", "diarizer.nemo"]
    assert snapshot.folder.is_relative_to(tmp_path / "hf" / "hub")
    assert snapshot.commit == repo.branches["main"] == Pins().commit_of(NAME, "main")
    assert snapshot.files["diarizer.nemo"].sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert (tmp_path / "home" / "pins.json").is_file()
    assert snapshot.licence == "cc-by-4.0"


def test_code_is_never_asked_for(server: FakeHub) -> None:
    server.add(NAME, FILES)
    hub.pull(NAME)
    assert [request for request in server.requests if request.endswith((".py", ".bin"))] == []


def test_the_hub_learns_nothing_about_this_machine(server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add(NAME, FILES)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY", False)
    # Newer versions ask once in a process what programs there are that they may run under.
    monkeypatch.setattr("huggingface_hub.utils._detect_agent._registry", None, raising=False)
    hub.pull(NAME)
    assert server.agents == {"speakerdiar"}
    assert [request for request in server.requests if NAME not in request] == []
    assert huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY is False


def test_a_second_load_asks_nothing(server: FakeHub) -> None:
    server.add(NAME, FILES)
    first = hub.pull(NAME)
    server.requests.clear()
    assert hub.pull(NAME) == first
    assert hub.pull(NAME).folder == first.folder
    assert hub.cached(NAME) == first
    assert server.requests == []


def test_a_commit_by_its_hash_is_loaded_without_asking_too(server: FakeHub) -> None:
    repo = server.add(NAME, FILES)
    commit = repo.branches["main"]
    repo.push({"diarizer.nemo": b"other"})
    first = hub.pull(NAME, revision=commit)
    server.requests.clear()
    assert hub.pull(NAME, revision=commit) == first
    assert (first.folder / "diarizer.nemo").read_bytes() == WEIGHTS
    assert server.requests == []


def test_a_branch_that_moved_moves_nothing_here_until_it_is_asked_to(server: FakeHub) -> None:
    repo = server.add(NAME, FILES)
    first = hub.pull(NAME)
    moved = repo.push({"diarizer.nemo": b"newer weights"})
    assert hub.pull(NAME) == first
    assert hub.pull(NAME, force=True).commit == first.commit
    updated = hub.pull(NAME, update=True)
    assert updated.commit == moved
    assert (hub.pull(NAME).folder / "diarizer.nemo").read_bytes() == b"newer weights"


def test_a_pin_outlives_the_cache(server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = server.add(NAME, FILES)
    first = hub.pull(NAME)
    repo.push({"diarizer.nemo": b"newer weights"})
    monkeypatch.setenv("HF_HOME", str(tmp_path / "another machine's"))
    assert hub.pull(NAME).commit == first.commit


def test_a_file_cut_short_in_the_cache_is_fetched_again(server: FakeHub) -> None:
    server.add(NAME, FILES)
    file = hub.pull(NAME).folder / "diarizer.nemo"
    os.truncate(file, 10)
    assert hub.cached(NAME) is None
    assert (hub.pull(NAME, force=True).folder / "diarizer.nemo").read_bytes() == WEIGHTS


def test_named_files_are_fetched_beside_those_that_are_here(server: FakeHub) -> None:
    server.add(NAME, {**FILES, "config.json": b"{}", "model.safetensors": b"tensors"})
    folder = hub.pull(NAME, files=["*.nemo"]).folder
    assert [path.name for path in folder.iterdir()] == ["diarizer.nemo"]
    assert hub.pull(NAME, files=["config.json", "*.safetensors"]).folder == folder
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "diarizer.nemo", "model.safetensors"]
    server.requests.clear()
    assert hub.cached(NAME, files=["*.nemo"]) is not None
    assert hub.cached(NAME, files=["config.json", "model.safetensors"]) is not None
    assert server.requests == []


@pytest.mark.parametrize("name", ["diarizer.nemo", "README.md"])
def test_other_bytes_than_the_hub_states_are_refused_and_removed(server: FakeHub, name: str) -> None:
    server.add(NAME, FILES)
    server.altered[name] = FILES[name][::-1]
    with pytest.raises(WeightsError, match=rf"{name} isn't what the Hub states .* was removed"):
        hub.pull(NAME)
    assert Pins().commit_of(NAME, "main") == ""
    assert hub.cached(NAME) is None
    server.altered.clear()
    assert (hub.pull(NAME).folder / name).read_bytes() == FILES[name]


def test_what_the_caller_expects_counts_beside_what_the_hub_states(server: FakeHub) -> None:
    server.add(NAME, FILES)
    right = {"diarizer.nemo": hashlib.sha256(WEIGHTS).hexdigest()}
    wrong = {"diarizer.nemo": "0" * 64}
    with pytest.raises(WeightsError, match="isn't what speakerdiar expects"):
        hub.pull(NAME, sha256=wrong)
    folder = hub.pull(NAME, sha256=right).folder
    assert hub.pull(NAME, sha256=right).folder == folder
    with pytest.raises(WeightsError, match="isn't what speakerdiar expects"):
        hub.pull(NAME, sha256=wrong)


def test_files_that_nobody_vouches_for_are_refused(server: FakeHub) -> None:
    server.add(NAME, FILES, stated=False)
    with pytest.raises(WeightsError, match=r"doesn't state what diarizer\.nemo .* must be"):
        hub.pull(NAME, files=["*.nemo"])
    assert hub.pull(NAME, files=["*.nemo"], sha256={"diarizer.nemo": hashlib.sha256(WEIGHTS).hexdigest()}).folder


def test_files_altered_in_the_cache_are_found_when_asked_for(server: FakeHub) -> None:
    server.add(NAME, FILES)
    snapshot = hub.pull(NAME)
    snapshot.verify()
    (snapshot.folder / "diarizer.nemo").write_bytes(WEIGHTS[::-1])
    with pytest.raises(WeightsError, match="isn't what was pulled"):
        snapshot.verify()
    hub.pull(NAME).verify()


def test_a_gated_repository_says_where_access_is_granted(server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add(NAME, FILES, gated=True)
    server.tokens = {"hf_reader": True, "hf_stranger": False}
    with pytest.raises(WeightsError) as refused:
        hub.pull(NAME, licence="NVIDIA Open Model License")
    for part in ("NVIDIA Open Model License", f"{server.url}/{NAME}", "token=", "HF_TOKEN"):
        assert part in str(refused.value)
    with pytest.raises(WeightsError, match="the account of your token may not read it yet"):
        hub.pull(NAME, token="hf_stranger")
    with pytest.raises(WeightsError, match="doesn't know the token"):
        hub.pull(NAME, token="hf_mistyped")
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    assert (hub.pull(NAME).folder / "diarizer.nemo").read_bytes() == WEIGHTS


def test_an_unknown_repository_or_revision_is_named(server: FakeHub) -> None:
    server.add(NAME, FILES)
    with pytest.raises(UnknownModelError, match="no model repository someone/else"):
        hub.pull("someone/else")
    with pytest.raises(UnknownModelError, match="no model repository some--one/else"):
        hub.pull("some--one/else")
    with pytest.raises(UnknownModelError, match="has no revision 'v9'"):
        hub.pull(NAME, revision="v9")


def test_a_repository_without_safe_weights_says_what_it_has(server: FakeHub) -> None:
    server.add(NAME, {"model.pkl": b"boom", "config.json": b"{}"})
    with pytest.raises(WeightsError, match=r"no weights in a safe format\. It has model\.pkl, which can hold code"):
        hub.pull(NAME)
    server.add(NAME, FILES)
    with pytest.raises(WeightsError, match=r"that match \*\.onnx.*It offers diarizer\.nemo"):
        hub.pull(NAME, files=["*.onnx"])


@pytest.mark.usefixtures("nobody")
def test_without_network_and_cache_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as refused:
        hub.pull(NAME, files=["*.nemo"])
    for part in ("*.nemo", f"speakerdiar models pull {NAME}", str(tmp_path / "hf" / "hub"), "folder's path"):
        assert part in str(refused.value)


def test_offline_by_the_environment_asks_nothing(server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add(NAME, FILES)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set"):
        hub.pull(NAME)
    assert server.requests == []


def test_a_hub_out_of_order_counts_as_unreachable(server: FakeHub) -> None:
    server.status = 503
    with pytest.raises(WeightsError, match="can't be reached"):
        hub.pull(NAME)


def test_what_other_programs_left_in_the_cache_is_used_offline(
    server: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = server.add(NAME, FILES)
    folder = hub.pull(NAME).folder
    Pins().path.unlink()
    # Programs that ask for a branch leave a note of where it stood.
    note = folder.parents[1] / "refs" / "main"
    note.parent.mkdir(exist_ok=True)
    note.write_text(repo.branches["main"])
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    found = hub.pull(NAME)
    assert (found.folder, found.commit) == (folder, repo.branches["main"])
    assert hub.pull(NAME, revision=found.commit).folder == folder
    assert hub.cached(NAME) is None
    (folder / "diarizer.nemo").write_bytes(WEIGHTS[::-1])
    with pytest.raises(WeightsError, match="isn't what the Hub stated"):
        hub.pull(NAME)


def share_blob(folder: Path, name: str) -> Path:
    """Move a file's bytes to where huggingface_hub keeps those that repositories share, and return the place."""
    blob = (folder / name).resolve()
    store = folder.parents[2] / "blobs" / "ab" / ("ab" * 32)
    store.parent.mkdir(parents=True)
    blob.rename(store)
    blob.symlink_to(os.path.relpath(store, blob.parent))
    return store


def test_files_that_repositories_share_are_checked_and_removed_whole(
    server: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add(NAME, FILES)
    snapshot = hub.pull(NAME)
    store = share_blob(snapshot.folder, "diarizer.nemo")
    assert store.is_relative_to(snapshot.cache)
    assert hub.pull(NAME) == snapshot
    Pins().path.unlink()
    with monkeypatch.context() as patched:
        patched.setenv("HF_HUB_OFFLINE", "1")
        assert hub.pull(NAME, revision=snapshot.commit).folder == snapshot.folder
    store.write_bytes(WEIGHTS[::-1])
    with pytest.raises(WeightsError, match="isn't what the Hub states"):
        hub.pull(NAME)
    assert not store.exists()
    hub.pull(NAME).verify()


def test_arguments_that_cannot_be_used_are_refused(server: FakeHub) -> None:
    with pytest.raises(ConfigError, match=r"'diarizer.nemo' isn't the name"):
        hub.pull("diarizer.nemo")
    for name in ("model.pkl", "*", "../../x.nemo", "/etc/x.json"):
        with pytest.raises(ConfigError, match="isn't fetched"):
            hub.pull(NAME, files=[name])
    with pytest.raises(ConfigError, match="never moves"):
        hub.pull(NAME, revision="a" * 40, update=True)
    assert server.requests == []


def test_a_full_disk_is_named(server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add(NAME, FILES)
    full = OSError(28, "No space left on device")

    def fill(*_: object, **__: object) -> None:
        raise full

    monkeypatch.setattr("huggingface_hub.file_download.http_get", fill)
    with pytest.raises(WeightsError, match=r"No space left on device.*make room"):
        hub.pull(NAME)


def test_an_interrupted_download_leaves_nothing_pinned(server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add(NAME, FILES)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("huggingface_hub.file_download.http_get", interrupt)
        with pytest.raises(KeyboardInterrupt):
            hub.pull(NAME)
    assert hub.cached(NAME) is None
    assert (hub.pull(NAME).folder / "diarizer.nemo").read_bytes() == WEIGHTS


def test_without_the_extra_the_pip_line_is_named(server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r'pip install "speakerdiar\[hub\]"'):
        hub.pull(NAME)
