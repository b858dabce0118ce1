"""What is in a store, inside one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from speakerdiar.errors import InputError, closest
from speakerdiar.voiceprints import table
from speakerdiar.voiceprints.binding import Binding, from_bytes, to_bytes
from speakerdiar.voiceprints.clips import Clip, is_among
from speakerdiar.voiceprints.values import Person


class Rows:
    """The people and clips of a store, as one transaction sees and changes them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def bound(self) -> Binding | None:
        """What made the vectors; None where there are none."""
        row = self._connection.execute(table.embedder_row()).first()
        return None if row is None else Binding(row[0], from_bytes(row[1]))

    def clips(self) -> dict[str, list[Clip]]:
        """Everyone's clips in the order they came, by name."""
        found: dict[str, list[Clip]] = {}
        for name, vector, seconds in self._connection.execute(table.clips()):
            found.setdefault(name, []).append(Clip(from_bytes(vector), seconds))
        return found

    def clips_of(self, name: str) -> list[Clip]:
        """Someone's clips; none for who isn't there."""
        rows = self._connection.execute(table.clips_of(name))
        return [Clip(from_bytes(vector), seconds) for _, vector, seconds in rows]

    def people(self) -> list[Person]:
        """Everyone, by name."""
        return [Person(*row) for row in self._connection.execute(table.people())]

    def person(self, name: str) -> Person:
        """Someone who is there.

        Raises:
            InputError: they aren't; the message has the closest name.
        """
        people = {person.name: person for person in self.people()}
        if name not in people:
            raise InputError(f"name={name!r}: nobody of that name is enrolled.{closest(name, people)}")
        return people[name]

    def add(self, binding: Binding, name: str, clips: Sequence[Clip], since: str) -> list[Clip]:
        """Add someone's clips, and them where they aren't there; return the clips that were new.

        Args:
            binding: what made the clips; it must be what made those that are there.
            name: theirs.
            clips: of theirs.
            since: of someone new.
        """
        if self.bound() is None:
            self._connection.execute(table.bind(binding.name, to_bytes(binding.probe)))
        if self._connection.execute(table.person_id(name)).first() is None:
            self._connection.execute(table.add_person(name, since))
        number = self._connection.execute(table.person_id(name)).scalar_one()
        present = self.clips_of(name)
        new: list[Clip] = []
        for clip in clips:
            if not is_among(clip, [*present, *new]):
                self._connection.execute(table.add_clip(number, to_bytes(clip.vector), clip.seconds))
                new.append(clip)
        return new

    def remove(self, name: str) -> None:
        """Drop someone who is there, and with the last one what made the vectors. Raises as `person`."""
        self.person(name)
        self._connection.execute(table.remove_person(name))
        if not self.people():
            self._connection.execute(table.unbind())

    def rename(self, name: str, new: str) -> None:
        """Give someone who is there another name.

        Raises:
            InputError: they aren't there, or someone has that name.
        """
        self.person(name)
        if any(person.name == new for person in self.people()):
            raise InputError(f"name={new!r}: someone is called that: choose another name.")
        self._connection.execute(table.rename_person(name, new))
