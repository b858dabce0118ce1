"""What is printed below every score."""

from __future__ import annotations

from speakerdiar.metrics import Protocol, Rules


def test_protocol_names_collar_overlap_regions_convention_and_files() -> None:
    text = str(Protocol(Rules(collar=0.25, skip_overlap=True), files=3))
    assert text == (
        "3 files; collar 0.25 s on each side of a reference border; overlap left out; "
        "UEM: extent of reference and hypothesis together; convention: pyannote"
    )


def test_protocol_with_regions() -> None:
    text = str(Protocol(Rules(convention="md-eval"), files=1, with_uem=1))
    assert text.startswith("1 file; collar 0 s")
    assert "overlap scored; UEM: given regions; convention: md-eval" in text


def test_protocol_as_json() -> None:
    assert Protocol(Rules(0.5), files=2, with_uem=2).to_json() == {
        "collar": 0.5,
        "skip_overlap": False,
        "convention": "pyannote",
        "uem": "given regions",
        "files": 2,
    }
