"""The file of a store: what is no store, many at once, and what is left of who was forgotten."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fakes_voices import tone, tone_store

from speakerdiar.errors import FormatError, InputError
from speakerdiar.voiceprints import table
from speakerdiar.voiceprints.binding import Binding, to_bytes
from speakerdiar.voiceprints.clips import Clip
from speakerdiar.voiceprints.database import Database

TESTS = Path(__file__).resolve().parents[1]


def random_clips(count: int, seed: int = 0) -> list[Clip]:
    vectors = np.random.default_rng(seed).normal(size=(count, 256)).astype(np.float32)
    return [Clip(vector / np.linalg.norm(vector), 5.0) for vector in vectors]


BINDING = Binding("ge2e", random_clips(1, seed=9)[0].vector)


def fill(database: Database, people: int) -> dict[str, list[Clip]]:
    """Enrol so many, three clips each, one clip after the other as it happens over time."""
    voices = {f"Person {index:03d}": random_clips(3, seed=index) for index in range(people)}
    for turn in range(3):
        with database.writing() as rows:
            for name, clips in voices.items():
                rows.add(BINDING, name, clips[turn : turn + 1], "2026-01-31T12:00:00+00:00")
    return voices


def test_what_was_written_is_read(tmp_path: Path) -> None:
    voices = fill(Database(tmp_path / "voices.db"), 5)
    with Database(tmp_path / "voices.db").reading() as rows:
        bound, found, people = rows.bound(), rows.clips(), rows.people()
    assert bound is not None
    assert (bound.name, bound.probe.tolist()) == ("ge2e", BINDING.probe.tolist())
    assert list(found) == [person.name for person in people] == sorted(voices)
    for name, clips in voices.items():
        assert [clip.vector.tolist() for clip in found[name]] == [clip.vector.tolist() for clip in clips]


def test_nothing_of_who_was_forgotten_is_left_in_any_file(tmp_path: Path) -> None:
    database = Database(tmp_path / "voices.db")
    voices = fill(database, 60)
    gone = [name for index, name in enumerate(voices) if index % 3]
    data = (tmp_path / "voices.db").read_bytes()
    assert all(name.encode() in data and to_bytes(clip.vector) in data for name in gone for clip in voices[name])
    with database.writing() as rows:
        for name in gone:
            rows.remove(name)
    database.vacuum()
    left = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for name, clips in voices.items():
        pieces = [name.encode(), *(to_bytes(clip.vector)[i : i + 64] for clip in clips for i in range(0, 1024, 64))]
        assert [piece in left for piece in pieces] == [name not in gone] * len(pieces)


def test_forget_and_rename_leave_nothing(tmp_path: Path) -> None:
    store = tone_store(tmp_path / "voices.db")
    store.enroll("Anastasia", tone(300))
    store.enroll("Benedict", tone(1500))
    vectors = dict(zip(store.names, store.voiceprints().vectors, strict=True))
    store.rename("Benedict", "Ben")
    store.forget("Anastasia")
    left = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"Anastasia" not in left
    assert b"Benedict" not in left
    assert to_bytes(vectors["Anastasia"])[40:80] not in left
    assert to_bytes(vectors["Benedict"])[120:160] in left


def test_the_file_is_for_its_owners_eyes(tmp_path: Path) -> None:
    path = tmp_path / "new" / "voices.db"
    Database(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["what? 100 %.db", "döner#1.db"])
def test_any_name_of_a_file_will_do(tmp_path: Path, name: str) -> None:
    fill(Database(tmp_path / name), 1)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "voices.db")

    def interrupted() -> None:
        with database.writing() as rows:
            rows.add(BINDING, "Ana", random_clips(1), "2026-01-31T12:00:00+00:00")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with database.reading() as rows:
        assert (rows.people(), rows.bound()) == ([], None)


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE photos (id)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(FormatError, match=r"photos\.db: is a database of something else: name another file"):
        Database(path)
    assert path.read_bytes() == before


def test_a_store_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "voices.db"
    Database(path)
    with sqlite3.connect(path) as later:
        later.execute(f"PRAGMA user_version = {table.FORMAT + 1}")
    later.close()
    with pytest.raises(FormatError, match=r"voices\.db: holds voices in format 2, .* up to 1: update"):
        Database(path)


@pytest.mark.parametrize(
    "spoil", [b"no database at all, but long enough to be looked at" * 20, b"SQLite format 3\0rest"]
)
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, spoil: bytes) -> None:
    (tmp_path / "voices.db").write_bytes(spoil)
    with pytest.raises(FormatError, match=r"voices\.db: can't be read as a store of voices \(.*name another file"):
        Database(tmp_path / "voices.db")
    assert (tmp_path / "voices.db").read_bytes() == spoil


def test_a_broken_store_is_told(tmp_path: Path) -> None:
    path = tmp_path / "voices.db"
    fill(Database(path), 60)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + bytes(b ^ 0x5A for b in whole[4096:]))
    with pytest.raises(FormatError, match=r"voices\.db: can't be read"), Database(path).reading() as rows:
        rows.clips()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"voices\.db: .*name a file that can be written"):
        Database(tmp_path / "file" / "voices.db")
    with pytest.raises(InputError, match="see that it can be read and written here"):
        Database(tmp_path)


def test_a_store_that_another_program_holds_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speakerdiar.voiceprints.database.BUSY_SECONDS", 0.1)
    database = Database(tmp_path / "voices.db")
    holder = sqlite3.connect(tmp_path / "voices.db")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(InputError, match=r"voices\.db: database is locked: .*no other program holds it"):
        fill(database, 1)
    holder.rollback()
    holder.close()
    fill(database, 1)


@pytest.mark.parametrize("place", ["voices.db", None])
def test_threads_enrol_at_once(tmp_path: Path, place: str | None) -> None:
    database = Database(None if place is None else tmp_path / place)

    def enrol(index: int) -> None:
        with database.writing() as rows:
            rows.add(BINDING, f"Person {index % 8}", random_clips(1, seed=index), "2026-01-31T12:00:00+00:00")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enrol, range(40)))
    with database.reading() as rows:
        assert [person.clips for person in rows.people()] == [5] * 8
    database.close()


ENROL = """
import sys
from pathlib import Path
import numpy as np
from speakerdiar.voiceprints.binding import Binding
from speakerdiar.voiceprints.clips import Clip
from speakerdiar.voiceprints.database import Database

me = int(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for axis in range(6):
    clip = Clip(np.eye(18, dtype=np.float32)[6 * me + axis], 5.0)
    with Database(Path("voices.db")).writing() as rows:
        for name in ("Everyone", f"Person {me}"):
            rows.add(Binding("ge2e", np.eye(18, dtype=np.float32)[0]), name, [clip], "2026-01-31T12:00:00+00:00")
"""


def test_processes_that_make_a_store_and_enrol_at_once_all_land(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", ENROL, str(me)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for me in range(3)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.communicate("go\n", timeout=60)
    assert [process.returncode for process in started] == [0, 0, 0]
    with Database(tmp_path / "voices.db").reading() as rows:
        counts = {person.name: person.clips for person in rows.people()}
    assert counts == {"Everyone": 18, "Person 0": 6, "Person 1": 6, "Person 2": 6}
