"""Writes what other toolkits' own code returns for the networks of `fakes_networks`, to `data/other_networks.json`.

    python tests/parity/make_other_networks.py campplus 3D-SPEAKER
    python tests/parity/make_other_networks.py nemo

The first argument says the toolkit, the second a checkout of it where it isn't installed. Each run replaces what that
toolkit gave before and leaves the others alone. It needs the toolkit, NumPy and PyTorch; never this package.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import torch

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
    """NeMo's TitaNet, by the model's own forward."""
    models = importlib.import_module("nemo.collections.asr.models")
    dict_config = importlib.import_module("omegaconf").DictConfig
    return {"titanet": speaker_model(models.EncDecSpeakerLabelModel(cfg=dict_config(fakes.TITANET)))}


def speaker_model(model: Any) -> dict[str, Any]:
    """Embeddings of one of NeMo's speaker models."""
    shapes = drawn_into(model)
    found: dict[str, Any] = {"weights": {name: fakes.shape_text(shape) for name, shape in shapes.items()}}
    for name, samples in fakes.pieces().items():
        signal = torch.from_numpy(samples)[None]
        _, vectors = model(input_signal=signal, input_signal_length=torch.tensor([signal.shape[1]]))
        found[name] = vectors[0].tolist()
    return found


TOOLKITS = {"campplus": campplus, "nemo": nemo}


def main() -> None:
    """Run one toolkit and write what it returned."""
    toolkit, *folders = sys.argv[1:]
    sys.path[:0] = folders
    data = json.loads(DATA.read_text()) if DATA.exists() else {}
    with torch.inference_mode():
        data.update(TOOLKITS[toolkit]())
    DATA.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
