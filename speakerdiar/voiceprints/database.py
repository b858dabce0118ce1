"""The SQLite file of a store: opening, transactions, and errors that say what to do.

It keeps a rollback journal and no write-ahead log: what is forgotten would stay in such a log for as long as another
process reads, and a log doesn't work on network drives. Writes are short, since embedding is done before they begin.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import NullPool, StaticPool

from speakerdiar.errors import FormatError, InputError
from speakerdiar.voiceprints import table
from speakerdiar.voiceprints.rows import Rows

BUSY_SECONDS = 30.0
"""So long a write waits for those of other processes."""


class Database:
    """A file of voices; made, for its owner's eyes only, where there is none.

    Any number of threads and processes may use one file at once. Nothing stays open between transactions, so an object
    survives a fork.

    Args:
        path: the file; None for one in memory, which goes with the object.

    Raises:
        FormatError: the file is no store of voices, broken, or of a later version.
        InputError: it can't be opened.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = threading.RLock()  # one in memory has one connection, which threads take turns with
        self._engine = _engine(path)
        self.close = weakref.finalize(self, self._engine.dispose)
        with self._told():
            self._open()

    @contextmanager
    def reading(self) -> Iterator[Rows]:
        """A transaction that sees the store as it is at its first look."""
        with self._lock, self._told(), self._engine.begin() as connection:
            yield Rows(connection)

    @contextmanager
    def writing(self) -> Iterator[Rows]:
        """A transaction that has the store for itself, and is kept whole or not at all."""
        with self._lock, self._told(), self._engine.execution_options(writes=True).begin() as connection:
            yield Rows(connection)

    def vacuum(self) -> None:
        """Write the file anew, without what was deleted."""
        with self._lock, self._told(), self._engine.execution_options(outside=True).connect() as connection:
            connection.exec_driver_sql("VACUUM")

    def _open(self) -> None:
        if self.path is not None:
            _make_file(self.path)
        with self._engine.begin() as connection:
            if self._is_ours(connection):
                return
        with self._engine.execution_options(writes=True).begin() as connection:
            if not self._is_ours(connection):  # else another process was faster
                table.METADATA.create_all(connection)
                connection.exec_driver_sql(f"PRAGMA application_id = {table.APPLICATION}")
                connection.exec_driver_sql(f"PRAGMA user_version = {table.FORMAT}")

    def _is_ours(self, connection: Connection) -> bool:
        """Whether the tables are there; not so in a new file. Raises FormatError for what must not be touched."""
        application, version, tables = (
            connection.exec_driver_sql(question).scalar_one()
            for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        )
        if (application, version, tables) == (0, 0, 0):
            return False
        if application != table.APPLICATION:
            raise FormatError("is a database of something else: name another file for the voices.", path=self.path)
        if version > table.FORMAT:
            raise FormatError(
                f"holds voices in format {version}, and this version reads up to {table.FORMAT}: update speakerdiar.",
                path=self.path,
            )
        return True

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn errors of the database into ours."""
        where = "the store in memory" if self.path is None else self.path
        try:
            yield
        except OperationalError as error:
            raise InputError(
                f"{where}: {error.orig}: see that it can be read and written here, and that no other program holds it."
            ) from error
        except DatabaseError as error:
            raise FormatError(
                f"can't be read as a store of voices ({error.orig}): name another file, or import an export anew.",
                path=where,
            ) from error
        except OSError as error:
            raise InputError(f"{where}: {error.strerror or error}: name a file that can be written.") from error


def _engine(path: Path | None) -> Engine:
    place = URL.create("sqlite", database=None if path is None else str(path))
    arguments = {"timeout": BUSY_SECONDS, "check_same_thread": False}
    engine = create_engine(place, poolclass=StaticPool if path is None else NullPool, connect_args=arguments)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _make_file(path: Path) -> None:
    """Make an empty file that only its owner may read, and its folder; SQLite gives its journal the same rights."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _prepare(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # Python's driver would begin transactions by rules of its own
    for setting in ("secure_delete = ON", "foreign_keys = ON", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {setting}")


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("outside"):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")
