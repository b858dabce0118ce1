"""Windows that slide over a recording, and the frames of a network inside them.

A network that looks at 10 s at a time gives frames for each window. Frames of all windows share one grid, that of the
recording: frame `j` is centred on sample `receptive / 2 + j * frame_step`. Where a window begins between two frames of
the grid, its frames are moved to the nearest (pyannote.audio's arithmetic, sample by sample the same).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerdiar.config import is_count
from speakerdiar.errors import ConfigError
from speakerdiar.frames import FrameGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class WindowGrid:
    """Where windows and frames lie. All sizes but `rate` and `frames` are in samples.

    Attributes:
        rate: samples a second.
        window: length of a window.
        step: from one window to the next.
        frames: frames of a window.
        frame_step: from one frame to the next.
        receptive: samples that a frame sees.
    """

    rate: int = 16000
    window: int = 160000
    step: int = 16000
    frames: int = 589
    frame_step: int = 270
    receptive: int = 991

    def __post_init__(self) -> None:
        for name in ("rate", "window", "step", "frames", "frame_step", "receptive"):
            if not is_count(getattr(self, name), least=1):
                raise ConfigError(f"{name}={getattr(self, name)!r}: give a whole number, 1 or more.")
        if self.step > self.window:
            raise ConfigError(f"Windows of {self.window} samples every {self.step} leave gaps: give a shorter step.")

    def with_step(self, share: float) -> WindowGrid:
        """Return the grid with windows every `share` of a window (in ]0, 1]).

        Raises:
            ConfigError: a share outside.
        """
        if not 0 < share <= 1:
            raise ConfigError(f"A step of {share!r} windows: give a share above 0, at most 1.")
        return replace(self, step=max(1, int(share * self.window)))

    def count(self, samples: int) -> int:
        """Windows that cover so many samples; what the last one lacks counts as silence. None cover no samples."""
        if samples <= self.window:
            return int(samples > 0)
        return 1 + -(-(samples - self.window) // self.step)

    def starts(self, windows: int) -> NDArray[np.int64]:
        """First sample of each of so many windows."""
        return np.arange(windows, dtype=np.int64) * self.step

    def first_frame(self, window: NDArray[Any] | int) -> Any:
        """Frame of the recording on which the first frame of a window falls (half a frame goes to the even one)."""
        return np.rint(np.asarray(window) * (self.step / self.rate) / (self.frame_step / self.rate)).astype(np.int64)

    def total_frames(self, windows: int) -> int:
        """Frames of the recording that so many windows reach."""
        if windows == 0:
            return 0
        seconds = (self.window + (windows - 1) * self.step) / self.rate
        return int(np.rint(seconds / (self.frame_step / self.rate))) + 1

    @property
    def seconds(self) -> float:
        """Length of a window."""
        return self.window / self.rate

    @property
    def frame_seconds(self) -> float:
        """From one frame to the next."""
        return self.frame_step / self.rate

    def middle(self, frame: NDArray[Any] | int) -> Any:
        """Seconds at which frames are centred. Turns begin and end there."""
        # Half of the sum of both ends, as pyannote.audio has it: three decimals of durations must round alike.
        begin = np.asarray(frame) * self.frame_seconds
        return 0.5 * (begin + (begin + self.receptive / self.rate))

    @property
    def frame_grid(self) -> FrameGrid:
        """The frames as those of `FrameScores`: each stands for the time around its middle."""
        return FrameGrid(self.frame_seconds, 0.5 * (self.receptive - self.frame_step) / self.rate)
