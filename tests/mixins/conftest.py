"""The recording that tests of the template read."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
from fakes import RATE
from nemo_style import SAMPLES


@pytest.fixture
def wav(tmp_path: Path) -> str:
    """Two tones that overlap, as a file."""
    path = tmp_path / "two voices.wav"
    soundfile.write(path, SAMPLES, RATE, subtype="FLOAT")
    return str(path)
