"""What a store of voices holds: the tables of format 1, and the statements on them.

`embedder` has one row, what made all vectors. `people` has one a person, `clips` one for each recording that a person
was enrolled with: a vector and the seconds of speech in it. There is no audio, and no file's name.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Delete,
    Float,
    ForeignKey,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    Update,
    delete,
    func,
    insert,
    select,
    update,
)

FORMAT = 1
"""Number of this layout, in SQLite's `user_version`."""
APPLICATION = 0x53706B44
"""Of SQLite's `application_id`: tells a store of voices from other databases."""

METADATA = MetaData()

EMBEDDER = Table(
    "embedder",
    METADATA,
    Column("name", Text, nullable=False),
    Column("probe", LargeBinary, nullable=False),  # float32, little end first, as all vectors
)
PEOPLE = Table(
    "people",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("since", Text, nullable=False),  # UTC, ISO 8601
)
CLIPS = Table(
    "clips",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("person", ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("vector", LargeBinary, nullable=False),
    Column("seconds", Float, nullable=False),
)


def embedder_row() -> Select[str, bytes]:
    """What made the vectors: one row, or none before anyone was enrolled."""
    return select(EMBEDDER.c.name, EMBEDDER.c.probe)


def bind(name: str, probe: bytes) -> Insert:
    """Say what makes the vectors."""
    return insert(EMBEDDER).values(name=name, probe=probe)


def unbind() -> Delete:
    """Forget what made the vectors."""
    return delete(EMBEDDER)


def people() -> Select[str, int, float, str]:
    """Name, clips, their seconds, and since when, of everyone, by name."""
    columns = select(PEOPLE.c.name, func.count(), func.sum(CLIPS.c.seconds), PEOPLE.c.since)
    return columns.select_from(PEOPLE.join(CLIPS)).group_by(PEOPLE.c.id).order_by(PEOPLE.c.name)


def clips() -> Select[str, bytes, float]:
    """Name, vector and seconds of every clip, by name, then in the order they came."""
    joined = CLIPS.join(PEOPLE)
    columns = select(PEOPLE.c.name, CLIPS.c.vector, CLIPS.c.seconds)
    return columns.select_from(joined).order_by(PEOPLE.c.name, CLIPS.c.id)


def clips_of(name: str) -> Select[str, bytes, float]:
    """As `clips`, of one person."""
    return clips().where(PEOPLE.c.name == name)


def person_id(name: str) -> Select[int]:
    """Number of a person's row."""
    return select(PEOPLE.c.id).where(PEOPLE.c.name == name)


def add_person(name: str, since: str) -> Insert:
    """A new person."""
    return insert(PEOPLE).values(name=name, since=since)


def add_clip(person: int, vector: bytes, seconds: float) -> Insert:
    """A new clip of a person."""
    return insert(CLIPS).values(person=person, vector=vector, seconds=seconds)


def remove_person(name: str) -> Delete:
    """Drop a person; their clips go with them."""
    return delete(PEOPLE).where(PEOPLE.c.name == name)


def rename_person(name: str, new: str) -> Update:
    """Give a person another name."""
    return update(PEOPLE).where(PEOPLE.c.name == name).values(name=new)
