from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import names

from speakerdiar.annotation import Segment
from speakerdiar.errors import FormatError
from speakerdiar.formats import uem

ticks = st.integers(-(10**7), 10**11)
segments = st.tuples(ticks, ticks).filter(lambda t: t[0] != t[1]).map(lambda t: Segment(min(t) / 1e6, max(t) / 1e6))


@given(st.dictionaries(names(), st.lists(segments, min_size=1, max_size=3), max_size=3))
def test_reading_what_was_written_gives_the_same(regions: dict[str, list[Segment]]) -> None:
    assert uem.loads(uem.dumps(regions)) == regions


def test_a_line_is_a_region_and_comments_are_fine(tmp_path: Path) -> None:
    path = uem.dump({"talk": [Segment(0, 1.5), Segment(2, 3)], ";;b": [Segment(0, 1)]}, tmp_path / "all.uem")
    assert path.read_text() == "talk 1 0.000 1.500\ntalk 1 2.000 3.000\n%3B;b 1 0.000 1.000\n"
    path.write_text("\ufeff;; scored\r\n\r\ntalk 1 0 1.5\r\n", encoding="utf-8")
    assert uem.load(path) == {"talk": [Segment(0, 1.5)]}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("talk 1 0", "3 fields"),
        ("talk 1 0 x", "end 'x'"),
        ("talk 1 nan 2", "start 'nan'"),
        ("talk 1 2 2", "ends at 2, not after"),
    ],
)
def test_errors_say_what_and_where(line: str, says: str) -> None:
    with pytest.raises(FormatError, match=rf"all\.uem:2: .*{says}"):
        uem.loads(f"talk 1 0 1\n{line}", path="all.uem")


def test_empty_ids_cannot_be_written() -> None:
    with pytest.raises(FormatError, match="empty id"):
        uem.dumps({"": [Segment(0, 1)]})
