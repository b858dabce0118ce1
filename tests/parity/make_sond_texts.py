"""Writes what FunASR's own SOND prints for a recording and clips, to `data/sond_texts.npz`: audio in, text out.

    pip install torch==2.13.0 humanfriendly packaging setuptools scipy pyyaml six
    pip install --no-deps funasr==0.8.7 torchaudio==2.11.0
    python tests/parity/make_sond_texts.py

It was run with FunASR 0.8.7, PyTorch 2.13.0, torchaudio 2.11.0, NumPy 2.4.6 and Python 3.11. It never needs this
package. Of torchaudio only `compliance.kaldi` is loaded, which is plain Python. What FunASR imports and this doesn't
need is left out; the noise that FunASR adds to clips (dither) is set to 0.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
DATA = HERE / "data" / "sond_texts.npz"
sys.path[:0] = [str(HERE), str(HERE.parent)]
make_sond = importlib.import_module("make_sond")
fakes = importlib.import_module("fakes_sond")
UNNEEDED = (
    "librosa",
    "kaldiio",
    "soundfile",
    "yaml",
    "funasr.tasks.diar",
    "funasr.build_utils.build_model_from_file",
    "funasr.build_utils.build_streaming_iterator",
    "funasr.datasets.iterable_dataset",
    "funasr.models.frontend.eend_ola_feature",
)


def leave_out() -> None:
    """Let imports of what isn't needed succeed, and those of torchaudio find its Python files alone."""
    for name in UNNEEDED:
        sys.modules[name] = mock.MagicMock()
    spec = importlib.util.find_spec("torchaudio")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    for name in ("torchaudio", "torchaudio.compliance"):
        package = ModuleType(name)
        package.__path__ = [str(Path(spec.submodule_search_locations[0], *name.split(".")[1:]))]
        sys.modules[name] = package


def frontend(**options: Any) -> Any:
    """FunASR's front end of samples."""
    made = make_sond.original("models.frontend.wav_frontend", "WavFrontend")
    return made(window="povey", n_mels=fakes.SIZES["mel_bins"], dither=0.0, **options)


def diarizer() -> Any:
    """FunASR's `Speech2DiarizationSOND`, around a small network."""
    network = make_sond.model(fakes.SIZES)
    make_sond.draw(network)
    network.frontend = frontend(snip_edges=False)
    made = object.__new__(make_sond.original("bin.diar_infer", "Speech2DiarizationSOND"))
    vars(made).update(diar_model=network, token_list=network.token_list, device="cpu", dtype="float32")
    vars(made).update(smooth_size=fakes.SMOOTH, dur_threshold=10)
    return made


class Voices(make_sond.Speaker):  # type: ignore[misc,name-defined]
    """The enrolment model, as far as FunASR's `Speech2Xvector` asks for it."""

    def encode(self, speech: torch.Tensor, speech_lengths: torch.Tensor) -> Any:
        """Return frames of samples."""
        features, lengths = frontend()(speech, speech_lengths)
        return self.encoder(features, lengths)


def xvectors() -> Any:
    """FunASR's `Speech2Xvector`, around a small network."""
    network = Voices(fakes.SIZES, fakes.CLASSES).eval()
    make_sond.draw(network)
    made = object.__new__(make_sond.original("bin.sv_infer", "Speech2Xvector"))
    vars(made).update(sv_model=network, device="cpu", dtype="float32", embedding_node="resnet1_dense")
    return made


def centred(speech: Any, voices: Any) -> np.ndarray:
    """Take the mean off the classes' scores, else one class is the likeliest everywhere; return what is taken off."""
    recording, *clips = (torch.from_numpy(part) for part in fakes.talk())
    profile = torch.cat([voices.calculate_embedding(clip) for clip in clips])[None]
    lengths = torch.tensor([len(recording)]), torch.tensor([len(clips)])
    logits = speech.diar_model.prediction_forward(recording[None], lengths[0], profile, lengths[1])
    mean = logits.mean(dim=(0, 1))
    speech.diar_model.decoder.conv1d.bias.data -= mean
    return np.asarray(mean)


def main() -> None:
    """Run it and write it."""
    leave_out()
    launch = importlib.import_module("funasr.bin.diar_inference_launch")
    speech, voices = diarizer(), xvectors()
    data: dict[str, Any] = {}
    with torch.no_grad():
        data["mean"] = centred(speech, voices)
        features = speech.diar_model.frontend(
            torch.from_numpy(fakes.talk()[0])[None], torch.tensor([len(fakes.talk()[0])])
        )
        data["features"] = features[0][0, ::37].numpy()
        data["profiles"] = torch.cat([voices.calculate_embedding(clip) for clip in fakes.talk()[1:]]).numpy()
        for form in ("vad", "rttm"):
            with (
                mock.patch.object(launch, "Speech2DiarizationSOND", return_value=speech),
                mock.patch("funasr.bin.sv_infer.Speech2Xvector", return_value=voices),
            ):
                run = launch.inference_launch("sond_demo", diar_train_config="", diar_model_file="", out_format=form)
                data[form] = json.dumps(run(raw_inputs=fakes.talk())[0]["value"])
        logits = speech.diar_model.prediction_forward(
            *(torch.from_numpy(fakes.talk()[0])[None], torch.tensor([len(fakes.talk()[0])])),
            *(torch.from_numpy(data["profiles"])[None], torch.tensor([len(data["profiles"])])),
        )
        best = logits.topk(2, dim=-1).values[0]
        data["margin"] = (best[:, 0] - best[:, 1]).min().numpy()
        data["labels"] = np.array(
            [int(t) for t in speech.post_processing(logits, len(data["profiles"]), "pse_labels")[0]]
        )
    np.savez_compressed(DATA, **data)


if __name__ == "__main__":
    main()
