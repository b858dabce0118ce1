"""Writes what other toolkits' own code returns for the networks of `fakes_networks`, to `data/other_networks.json`.

    python tests/parity/make_other_networks.py campplus 09e7806 3D-SPEAKER
    python tests/parity/make_other_networks.py wespeaker dfa7419 WESPEAKER
    python tests/parity/make_other_networks.py nemo 3.0.0
    python tests/parity/make_other_networks.py speechbrain 1.1.2

The arguments say the toolkit, its version or commit, and a checkout of it where it isn't installed. Each run replaces
what that toolkit gave before and leaves the others alone. It needs the toolkit, NumPy and PyTorch; never this package.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
DATA = HERE / "data" / "other_networks.json"
sys.path.insert(0, str(HERE.parent))
fakes = importlib.import_module("fakes_networks")


def drawn_into(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """Give a network its drawn weights, front end aside; return the names and shapes of its state dict."""
    own = network.state_dict()
    shapes: dict[str, tuple[int, ...]] = fakes.shapes_of(own)
    front_end = {name: value for name, value in own.items() if name.startswith("preprocessor.")}
    network.load_state_dict({**fakes.drawn_weights(shapes), **front_end})
    network.eval()
    return shapes


def campplus() -> dict[str, Any]:
    """3D-Speaker's CAM++ behind its own filter bank."""
    made = importlib.import_module("speakerlab.models.campplus.DTDNN").CAMPPlus
    fbank = importlib.import_module("speakerlab.process.processor").FBank(80, 16000, mean_nor=True)
    network = made(**fakes.CAMPPLUS)
    found: dict[str, Any] = {"fingerprint": fakes.fingerprint(drawn_into(network))}
    found["published"] = fakes.fingerprint(fakes.shapes_of(made(feat_dim=80, embedding_size=192).state_dict()))
    for name, samples in fakes.pieces().items():
        found[name] = network(fbank(torch.from_numpy(samples))[None])[0].tolist()
    return {"campplus": found}


def nemo() -> dict[str, Any]:
    """NeMo's networks, by the models' own forward."""
    models = importlib.import_module("nemo.collections.asr.models")
    dict_config = importlib.import_module("omegaconf").DictConfig
    framewise = models.EncDecFrameClassificationModel(cfg=dict_config(fakes.FRAME_MARBLENET))
    windowed = models.EncDecClassificationModel(cfg=dict_config(fakes.WINDOW_MARBLENET))
    return {
        "nemo_ecapa": speaker_model(models.EncDecSpeakerLabelModel(cfg=dict_config(fakes.ECAPA))),
        "titanet": speaker_model(models.EncDecSpeakerLabelModel(cfg=dict_config(fakes.TITANET))),
        "frame_marblenet": vad_model(framewise, lambda samples: frames_of(framewise, samples)),
        "window_marblenet": vad_model(windowed, lambda samples: windows_of(windowed, samples)),
    }


def named_weights(model: Any) -> dict[str, Any]:
    """Draw the weights of a model; return their names and shapes."""
    return {"weights": {name: fakes.shape_text(shape) for name, shape in drawn_into(model).items()}}


def speaker_model(model: Any) -> dict[str, Any]:
    """Embeddings of one of NeMo's speaker models."""
    found = named_weights(model)
    for name, samples in fakes.pieces().items():
        found[name] = forward(model, samples[None])[1][0].tolist()
    return found


def vad_model(model: Any, score: Callable[[NDArray[np.float32]], torch.Tensor]) -> dict[str, Any]:
    """Every seventh score of one of NeMo's voice activity detectors."""
    found = named_weights(model)
    for name, samples in fakes.pieces().items():
        scores = score(samples)
        found[name], found[f"{name}_frames"] = scores[::7].tolist(), len(scores)
    return found


def frames_of(model: Any, samples: NDArray[np.float32]) -> torch.Tensor:
    """Scores of all frames that aren't padding, as `generate_vad_frame_pred` computes them."""
    frames = -(-(len(samples) // 160) // 2)
    scores: torch.Tensor = torch.softmax(forward(model, samples[None]), dim=-1)[0, :frames, 1]
    return scores


def windows_of(model: Any, samples: NDArray[np.float32]) -> torch.Tensor:
    """Scores of windows of 0.63 s every 10 ms, cut as `_vad_frame_seq_collate_fn` cuts them."""
    length = int(16000 * 0.63)
    padded = np.concatenate([np.zeros(length // 2), samples, np.zeros(length - length // 2)]).astype(np.float32)
    windows = np.stack([padded[first : first + length] for first in range(0, len(samples) // 160 * 160, 160)])
    scores: torch.Tensor = torch.softmax(forward(model, windows), dim=-1)[:, 1]
    return scores


def forward(model: Any, rows: NDArray[np.float32]) -> Any:
    """What a model returns for rows of samples."""
    return model(input_signal=torch.from_numpy(rows), input_signal_length=torch.tensor([rows.shape[1]] * len(rows)))


def speechbrain() -> dict[str, Any]:
    """SpeechBrain's ECAPA-TDNN behind its own features, as its encoder classifiers run it."""
    features = importlib.import_module("speechbrain.lobes.features").Fbank(n_mels=80)
    normalization = importlib.import_module("speechbrain.processing.features").InputNormalization
    network = importlib.import_module("speechbrain.lobes.models.ECAPA_TDNN").ECAPA_TDNN(**fakes.SPEECHBRAIN)
    center = normalization(norm_type="sentence", std_norm=False)
    found = named_weights(network)
    for name, samples in fakes.pieces().items():
        lengths = torch.ones(1)
        vectors = network(center(features(torch.from_numpy(samples)[None]), lengths), lengths)
        found[name] = vectors[0, 0].tolist()
    return {"speechbrain": found}


def wespeaker() -> dict[str, Any]:
    """WeSpeaker's ECAPA-TDNN behind torchaudio's filter bank, as its command line runs it."""
    package = types.ModuleType("wespeaker")  # without what the package itself imports
    package.__path__ = [str(Path(sys.path[0]) / "wespeaker")]
    sys.modules["wespeaker"] = package
    made = importlib.import_module("wespeaker.models.ecapa_tdnn").ECAPA_TDNN
    fbank = importlib.import_module("torchaudio.compliance.kaldi").fbank
    data = {}
    for kind, options in fakes.WESPEAKER.items():
        network = made(**options)
        data[kind] = named_weights(network)
        for name, samples in fakes.pieces().items():
            wave = torch.from_numpy(samples)[None] * 32768
            features = fbank(wave, num_mel_bins=80, sample_frequency=16000, window_type="hamming")
            data[kind][name] = network((features - features.mean(0))[None])[-1][0].tolist()
    return data


TOOLKITS = {"campplus": campplus, "nemo": nemo, "speechbrain": speechbrain, "wespeaker": wespeaker}


def main() -> None:
    """Run one toolkit and write what it returned."""
    toolkit, version, *folders = sys.argv[1:]
    sys.path[:0] = folders
    data = json.loads(DATA.read_text()) if DATA.exists() else {}
    with torch.inference_mode():
        data.update(TOOLKITS[toolkit]())
    data.setdefault("versions", {})[toolkit] = version
    DATA.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
