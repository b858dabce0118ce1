"""The rebuilt silero network gives the numbers of silero's own program, run frame by frame."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from speakerdiar.audio import load
from speakerdiar.checkpoints.installed import installed_file
from speakerdiar.models.segmenters.silero import WEIGHTS, SileroVad


def sequential(samples: np.ndarray) -> np.ndarray:
    """Silero's own probabilities: (frames,)."""
    file = installed_file("silero-vad", WEIGHTS, extra="", purpose="", install="")
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore", DeprecationWarning)
        program = torch.jit.load(str(file))  # type: ignore[no-untyped-call]
        return np.asarray(program.audio_forward(torch.from_numpy(samples)[None], 16000)[0].numpy())


@pytest.mark.parametrize("name", ["call_40", "phone_sample", "ami_trn00"])
def test_equals_silero_frame_by_frame(shared: Path, name: str) -> None:
    samples = np.asarray(load(shared / "eval" / f"{name}.flac"))[: 60 * 16000 + 321]
    scores = SileroVad(normalize=False).segment_blocks([samples]).data[:, 0]
    expected = sequential(samples)
    assert expected.max() > 0.9
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-4)
