"""A small SOND and its enrolment model with drawn weights, and folders of them as ModelScope lays them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml  # type: ignore[import-untyped, unused-ignore]

from speakerdiar.audio import load
from speakerdiar.models.diarizers.sond import SondDiarizer
from speakerdiar.models.embedders.sond import SondEmbedder
from speakerdiar.nn.kaldi_fbank import FbankOptions, KaldiFbank
from speakerdiar.nn.preact_resnet import TrunkShape
from speakerdiar.nn.sond import SondNetwork, SondSpeakerNetwork
from speakerdiar.nn.sond_shape import SondShape, SondSpeakerShape
from speakerdiar.postprocessing.power_set_encoding import PowerSetEncoding

CONVERSATION = Path(__file__).resolve().parents[1] / "examples/data/conversation.flac"
SIZE = 8
"""Numbers of a profile."""
BANDS = FbankOptions(mel_bins=16, snip_edges=False)
"""Fewer than the published 80: most of the time would go into their images."""
TRUNK = TrunkShape((2, 2, 4, 4), (1, 1, 1, 1), BANDS.mel_bins, outputs=4)
SHAPE = SondShape(
    filters=(2, 2, 4, 4),
    blocks=(1, 1, 1, 1),
    mel_bins=BANDS.mel_bins,
    pooled=4,
    dimension=SIZE,
    last=4,
    speakers=6,
    at_once=2,
    speaker_units=6,
    cd_layers=1,
    cd_heads=2,
    cd_inner=6,
    fsmn_layers=2,
    fsmn_units=6,
    fsmn_inner=6,
    fsmn_kernel=7,
)
SPEAKERS = SondSpeakerShape(TRUNK, dimension=SIZE, last=4, classes=5)
FRONTEND = {
    "fs": 16000,
    "window": "povey",
    "n_mels": BANDS.mel_bins,
    "frame_length": 25,
    "frame_shift": 10,
    "filter_length_min": -1,
    "filter_length_max": -1,
    "lfr_m": 1,
    "lfr_n": 1,
}


def sond_network(seed: int = 1, shape: SondShape = SHAPE) -> SondNetwork:
    """A network that knows nothing and changes its mind: its layers are scaled to tell moments of speech apart."""
    torch.manual_seed(seed)
    network = SondNetwork(shape)
    features = KaldiFbank(BANDS)(torch.from_numpy(load(CONVERSATION)[: 16 * 16000]))[None]
    length = torch.tensor([features.shape[1]])
    _settle_norms(network, features)
    network.eval()
    with torch.no_grad():
        last = network.encoder.resnet1_dense
        for layer, heard in (
            (last, lambda: network.frames(features, length)),
            (network.decoder.conv1d, lambda: network(features, length, torch.randn(1, 4, shape.dimension))),
        ):
            found, bias = heard(), layer.bias
            assert bias is not None
            gain = 3 / found.std(dim=1).mean()
            layer.weight.data *= gain
            bias.data = (bias.data - found.mean(dim=(0, 1))) * gain
    return network


def speaker_network(seed: int = 1) -> SondSpeakerNetwork:
    """An enrolment model that knows nothing, and gives each clip another vector."""
    torch.manual_seed(seed)
    network = SondSpeakerNetwork(SPEAKERS)
    _settle_norms(network, torch.randn(4, 400, BANDS.mel_bins) * 3 + 10)
    return network.eval()


def _settle_norms(network: torch.nn.Module, features: torch.Tensor) -> None:
    """Let batch norms see features, else what comes out hardly depends on what goes in."""
    network.train()
    lengths = torch.full((len(features),), features.shape[1])
    for _ in range(3):
        if isinstance(network, SondNetwork):
            network(features, lengths, torch.randn(len(features), 3, network.shape.dimension))
        else:
            network(features, lengths)


def people(count: int, seed: int = 3) -> dict[str, np.ndarray]:
    """Vectors of so many people."""
    drawn = np.random.default_rng(seed).standard_normal((count, SIZE)).astype(np.float32)
    return {f"Person {chr(65 + index)}": vector for index, vector in enumerate(drawn)}


def tiny_sond(profiles: int | None = 4, **options: Any) -> SondDiarizer:
    """A diarizer that looks for so many people unless it is told for whom."""
    given = None if profiles is None else people(profiles)
    options = {"embedder": tiny_embedder(), "profiles": given, **options}
    return SondDiarizer(sond_network(), BANDS, **options)


def tiny_embedder() -> SondEmbedder:
    """The enrolment model."""
    return SondEmbedder(speaker_network(), FbankOptions(mel_bins=BANDS.mel_bins))


def sond_yaml(**more: Any) -> dict[str, Any]:
    """What FunASR writes beside the weights, as far as it is read."""
    return {
        "model": "sond",
        "model_conf": {"lsm_weight": 0.1, "max_spk_num": SHAPE.speakers},
        "encoder": "resnet34",
        "encoder_conf": {"pooling_type": "window_shift", "pool_size": 20, "stride": 1},
        "speaker_encoder": "conv",
        "ci_scorer": "dot",
        "ci_scorer_conf": {},
        "cd_scorer": "san",
        "cd_scorer_conf": {"attention_heads": SHAPE.cd_heads, "input_layer": "null", "normalize_before": True},
        "decoder": "fsmn",
        "decoder_conf": {"in_units": 2 * SHAPE.speakers, "out_units": SHAPE.classes},
        "frontend": "wav_frontend",
        "frontend_conf": {**FRONTEND, "dither": 0.0, "snip_edges": False},
        "token_list": [str(t) for t in PowerSetEncoding(SHAPE.speakers, SHAPE.at_once).tokens],
        **more,
    }


def sv_yaml(**more: Any) -> dict[str, Any]:
    """FunASR's YAML of the enrolment model."""
    return {
        "model": "espnet",
        "encoder": "resnet34",
        "encoder_conf": {"use_head_conv": True},
        "pooling_type": "statistic",
        "decoder": "dense",
        "frontend": "wav_frontend",
        "frontend_conf": FRONTEND,
        **more,
    }


def sond_folder(folder: Path, *, suffix: str = ".pb", enrolment: str | None = "", **more: Any) -> Path:
    """A folder as ModelScope lays it out.

    Args:
        folder: where.
        suffix: of the weights.
        enrolment: folder inside with the enrolment model; None for none.
        more: of the YAML.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({**sond_network().state_dict(), "criterion.unused": torch.zeros(2)}, folder / f"sond{suffix}")
    (folder / "sond.yaml").write_text(yaml.safe_dump(sond_yaml(**more)))
    (folder / "configuration.json").write_text(json.dumps({"task": "speaker-diarization"}))
    if enrolment is not None:
        sv_folder(folder / enrolment)
    return folder


def sv_folder(folder: Path) -> Path:
    """The enrolment model in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(speaker_network().state_dict(), folder / "sv.pb")
    (folder / "sv.yaml").write_text(yaml.safe_dump(sv_yaml()))
    return folder
