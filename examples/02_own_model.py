"""A diarizer of one's own: three steps, and `diarize()` does the rest.

This one tells apart speakers by the pitch of their voice: enough to show the template, not to diarize well.
"""

import itertools
from pathlib import Path

import librosa
import numpy as np

from speakerdiar import FrameGrid, FrameScores, SpkDiarizationMixin, audio_dataloader, scores_to_diarization

STEP = 0.1  # seconds a frame
BORDERS = (70.0, 130.0, 180.0, 350.0)  # Hz: below 130 low voices, then middle, above 180 high ones


class PitchDiarizer(SpkDiarizationMixin):
    def _setup_diarize_dataloader(self, config):
        return audio_dataloader(config)  # batches of (waveforms, lengths) from paths, manifests or parts of files

    def _diarize_forward(self, batch):
        waveforms, lengths = batch
        return [voices(wave[:length].numpy()) for wave, length in zip(waveforms, lengths, strict=True)]

    def _diarize_output_processing(self, outputs, uniq_ids, diarcfg):
        recordings = [diarcfg._internal.recordings[id] for id in uniq_ids]
        return [
            scores_to_diarization(recording, FrameScores(scores, FrameGrid(STEP)), diarcfg)
            for recording, scores in zip(recordings, outputs, strict=True)
        ]


def voices(samples: np.ndarray) -> np.ndarray:
    """Score, (frames, 3): how much of each frame lies in each range of pitch."""
    hop = round(STEP * 16000)
    pitch = librosa.yin(samples, fmin=BORDERS[0], fmax=BORDERS[-1], sr=16000, frame_length=2048, hop_length=hop)
    level = librosa.feature.rms(y=samples, frame_length=2048, hop_length=hop)[0]
    loud = level > 0.1 * level.max()
    ranges = [(pitch >= low) & (pitch < high) & loud for low, high in itertools.pairwise(BORDERS)]
    return np.stack(ranges, axis=1).astype(np.float32)


def main() -> None:
    model = PitchDiarizer()
    options = {"min_duration_on": 0.3, "min_duration_off": 0.5}
    [diarization] = model.diarize(
        Path(__file__).parent / "data" / "conversation.flac", max_speakers=2, postprocessing_params=options
    )
    for turn in diarization:
        print(f"{turn.start:7.2f} {turn.end:7.2f}  {turn.speaker}")


if __name__ == "__main__":
    main()
