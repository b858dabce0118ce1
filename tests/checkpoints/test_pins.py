"""The pin file: shared by processes, never half written, and never guessed at when broken."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerdiar.checkpoints.pins import CommitPin, FilePin, Pins, home
from speakerdiar.errors import WeightsError

COMMIT = "a" * 40
PIN = CommitPin({"x.nemo": FilePin(5, "b" * 64), "README.md": FilePin(3, "")}, "mit")


@pytest.fixture
def pins(tmp_path: Path) -> Pins:
    return Pins(tmp_path / "deep" / "pins.json")


def test_what_is_recorded_is_found(pins: Pins) -> None:
    assert (pins.commit_of("a/b", "main"), pins.files_of("a/b", COMMIT)) == ("", None)
    pins.record("a/b", "main", COMMIT, PIN)
    assert (pins.commit_of("a/b", "main"), pins.files_of("a/b", COMMIT)) == (COMMIT, PIN)
    assert pins.commit_of("a/b", "v2") == pins.commit_of("a/c", "main") == ""
    assert sorted(path.name for path in pins.path.parent.iterdir()) in (["pins.json"], ["pins.json", "pins.json.lock"])


def test_a_commit_needs_no_name(pins: Pins) -> None:
    pins.record("a/b", COMMIT, COMMIT, PIN)
    assert pins.files_of("a/b", COMMIT) == PIN
    assert json.loads(pins.path.read_text())["repositories"]["a/b"]["revisions"] == {}


def test_hashes_once_known_stay(pins: Pins) -> None:
    pins.record("a/b", "main", COMMIT, PIN)
    pins.record("a/b", "main", COMMIT, CommitPin({"x.nemo": FilePin(5, ""), "README.md": FilePin(3, "c")}, "mit"))
    known = pins.files_of("a/b", COMMIT)
    assert known is not None
    assert known.files == {"x.nemo": FilePin(5, "b" * 64), "README.md": FilePin(3, "c")}


def test_writers_at_the_same_time_lose_nothing(pins: Pins) -> None:
    def record(number: int) -> None:
        Pins(pins.path).record(f"a/{number}", "main", f"{number:040x}", PIN)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [pins.commit_of(f"a/{number}", "main") for number in range(16)] == [f"{n:040x}" for n in range(16)]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_GOOD = {"version": 1, "repositories": {"a/b": {"revisions": {}, "commits": {COMMIT: asdict(PIN)}}}}


@given(_JSON, st.sampled_from([(), ("version",), ("repositories",), ("repositories", "a/b"), ("commits",), ("files",)]))
def test_a_broken_file_is_named_and_never_a_crash(
    tmp_path_factory: pytest.TempPathFactory, junk: object, at: tuple[str, ...]
) -> None:
    content = json.loads(json.dumps(_GOOD))
    inner = {"commits": content["repositories"]["a/b"], "files": content["repositories"]["a/b"]["commits"][COMMIT]}
    if at:
        owner = inner.get(at[-1]) or (content["repositories"] if len(at) > 1 else content)
        owner[at[-1]] = junk
    path = tmp_path_factory.mktemp("pins") / "pins.json"
    path.write_text(json.dumps(content if at else junk))
    pins = Pins(path)
    faults = []
    for read in (lambda: pins.commit_of("a/b", "main"), lambda: pins.files_of("a/b", COMMIT)):
        try:
            read()
        except WeightsError as error:
            faults.append(str(error))
    assert all(str(path) in fault and "repair it, or remove it" in fault for fault in faults)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2, "repositories": {}}', '{"version": 1}', "\udcff"])
def test_what_is_no_pin_file_is_refused_and_kept(pins: Pins, text: str) -> None:
    pins.path.parent.mkdir()
    pins.path.write_bytes(text.encode("utf-8", "surrogateescape"))
    for action in (lambda: pins.commit_of("a/b", "main"), lambda: pins.record("a/b", "main", COMMIT, PIN)):
        with pytest.raises(WeightsError, match="isn't a pin file"):
            action()
    assert pins.path.read_bytes() == text.encode("utf-8", "surrogateescape")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="SPEAKERDIAR_HOME"):
        Pins(tmp_path / "file" / "pins.json").record("a/b", "main", COMMIT, PIN)


def test_home_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("SPEAKERDIAR_HOME", str(tmp_path / "own"))
    assert Pins().path == tmp_path / "own" / "pins.json"
    monkeypatch.delenv("SPEAKERDIAR_HOME")
    assert home() == tmp_path / "cache" / "speakerdiar"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert home() == Path.home() / ".cache" / "speakerdiar"
