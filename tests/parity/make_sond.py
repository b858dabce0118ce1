"""Writes what FunASR's own SOND returns for the networks of `fakes_sond`, to `data/sond.npz`.

    pip install torch==2.13.0 humanfriendly packaging setuptools scipy pyyaml six
    pip install --no-deps funasr==0.8.7
    python tests/parity/make_sond.py

It was run with FunASR 0.8.7, PyTorch 2.13.0, NumPy 2.4.6 and Python 3.11. It never needs this package. FunASR lets the
padding of a batch into the results of its shorter recordings: recordings of several lengths are given to it one by one.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
DATA = HERE / "data" / "sond.npz"
sys.path.insert(0, str(HERE.parent))
fakes = importlib.import_module("fakes_sond")
networks = importlib.import_module("fakes_networks")

PUBLISHED: dict[str, Any] = {
    "filters": (32, 64, 128, 256),
    "blocks": (3, 4, 6, 3),
    "mel_bins": 80,
    "pooled": 256,
    "dimension": 256,
    "last": 256,
    "window": 20,
    "speakers": 16,
    "at_once": 4,
    "speaker_units": 256,
    "ci_units": 512,
    "cd_layers": 4,
    "cd_heads": 4,
    "cd_inner": 1024,
    "fsmn_layers": 6,
    "fsmn_units": 512,
    "fsmn_inner": 512,
    "fsmn_kernel": 31,
}
PUBLISHED_CALLHOME = {**PUBLISHED, "variant": "callhome", "fsmn_units": 16}


def original(name: str, part: str) -> Any:
    """Return a part of FunASR."""
    return getattr(importlib.import_module(f"funasr.{name}"), part)


def tokens(speakers: int, at_once: int) -> list[str]:
    """Return the token list, ascending."""
    sets = (s for count in range(at_once + 1) for s in combinations(range(speakers), count))
    return [str(token) for token in sorted(sum(1 << speaker for speaker in members) for members in sets)]


def encoder(sizes: dict[str, Any], callhome: bool) -> torch.nn.Module:
    """FunASR's encoder of frames."""
    kind = "ResNet34SpL2RegDiar" if callhome else "ResNet34Diar"
    made: torch.nn.Module = original("models.encoder.resnet34_encoder", kind)(
        sizes["mel_bins"],
        num_nodes_pooling_layer=sizes["pooled"],
        layers_in_block=sizes["blocks"],
        filters_in_block=sizes["filters"],
        num_nodes_resnet1=sizes["dimension"],
        num_nodes_last_layer=sizes["last"],
        pool_size=sizes["window"],
    )
    return made


def conv_encoder(inputs: int, units: int, outputs: int) -> Any:
    """FunASR's network of one frame."""
    made = original("models.encoder.opennmt_encoders.conv_encoder", "ConvEncoder")
    return made(3, inputs, units, kernel_size=1, dropout_rate=0.0, out_units=outputs)


def model(sizes: dict[str, Any], **options: Any) -> Any:
    """FunASR's SOND, as `build_diar_model` puts it together from a config."""
    callhome, width = sizes.get("variant") == "callhome", 2 * sizes["dimension"]
    encoders = "models.encoder.opennmt_encoders"
    listed = tokens(sizes["speakers"], sizes["at_once"])
    attention = original(f"{encoders}.self_attention_encoder", "SelfAttentionEncoder")(
        width,
        width,
        attention_heads=sizes["cd_heads"],
        linear_units=sizes["cd_inner"],
        num_blocks=sizes["cd_layers"],
        dropout_rate=0.0,
        input_layer="null",
        out_units=1,
    )
    combiner = original(f"{encoders}.fsmn_encoder", "FsmnEncoder")(
        2 * sizes["speakers"],
        sizes["fsmn_kernel"],
        sizes["fsmn_layers"],
        1,
        num_memory_units=sizes["fsmn_units"],
        ffn_inner_dim=sizes["fsmn_inner"],
        out_units=len(listed),
    )
    dot = original(f"{encoders}.ci_scorers", "DotScorer")
    pooling = original("layers.label_aggregation", "LabelAggregateMaxPooling")(8)
    speakers = None if callhome else conv_encoder(sizes["dimension"], sizes["speaker_units"], sizes["dimension"])
    made = original("models.e2e_diar_sond", "DiarSondModel")(
        len(listed),
        *(None, None, None, None),
        encoder(sizes, callhome),
        speakers,
        conv_encoder(width, sizes["ci_units"], 1) if callhome else dot(),
        attention,
        combiner,
        listed,
        max_spk_num=sizes["speakers"],
        normalize_speech_speaker=callhome,
        label_aggregator=pooling,
        onfly_shuffle_speaker=False,
        **options,
    )
    return made.eval()


def draw(network: torch.nn.Module) -> None:
    """Give a network the weights that their names decide."""
    network.load_state_dict(networks.drawn_weights(networks.shapes_of(network.state_dict())))


def stages(network: Any, features: torch.Tensor, raw: torch.Tensor) -> dict[str, NDArray[np.float32]]:
    """What each stage returns for recordings of full length."""
    lengths, none = torch.full((len(features),), features.shape[1]), torch.full((len(raw),), raw.shape[1])
    logits, parts = network.prediction_forward(features, lengths, raw, none, return_inter_outputs=True)
    (frames, _), (encoded, _), (independent, dependent) = parts
    found = {"frames": frames, "profiles": encoded, "cd": dependent, "ci": independent, "logits": logits}
    return {name: value.numpy() for name, value in found.items()}


def small(name: str, sizes: dict[str, Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Every stage of a small network: recordings of several lengths one by one, then three of one length."""
    network = model(sizes)
    draw(network)
    rows, raw = torch.from_numpy(fakes.features()), torch.from_numpy(fakes.profiles())
    for index, length in enumerate(fakes.LENGTHS):
        for stage, value in stages(network, rows[index : index + 1, :length], raw[index : index + 1]).items():
            yield f"{name}_{stage}_{index}", value[0]
    yield f"{name}_logits_batch", stages(network, rows, raw)["logits"]


def quiet() -> Iterator[tuple[str, NDArray[Any]]]:
    """Both networks of frames on values so small that the guards of their norms show."""
    network = model(fakes.SIZES)
    network.load_state_dict(fakes.quiet(networks.drawn_weights(networks.shapes_of(network.state_dict()))))
    rows, lengths = torch.from_numpy(fakes.quiet_rows()), torch.tensor([9, 9])
    yield "quiet_cd", network.cd_scorer(rows, lengths)[0].numpy()
    yield "quiet_combiner", network.decoder(rows[..., :12], lengths)[0].numpy()


def losses(name: str, sizes: dict[str, Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """What one batch loses, with labels that end before the frames."""
    for kind, options in {
        "alimeeting": {"lsm_weight": 0.1, "length_normalized_loss": True, "inter_score_loss_weight": 0.0},
        "callhome": {
            "lsm_weight": 0.0,
            "length_normalized_loss": True,
            "inter_score_loss_weight": 0.1,
            "speaker_discrimination_loss_weight": 0.0,
        },
        "sums": {"lsm_weight": 0.1, "length_normalized_loss": False, "inter_score_loss_weight": 0.5},
    }.items():
        network = model(sizes, **options)
        draw(network)
        rows, raw = torch.from_numpy(fakes.features()), torch.from_numpy(fakes.profiles())
        raw = torch.nn.functional.pad(raw, (0, 0, 0, 1))
        talks, lengths = torch.from_numpy(fakes.activity()), torch.tensor(fakes.LENGTHS)
        full = torch.full((3,), rows.shape[1])
        _, stats, _ = network(rows, full, raw, torch.full((3,), 6), talks, lengths)
        names = ("loss", "loss_diar", "loss_spk_dis", "loss_inter_cd", "loss_inter_ci")
        yield f"{name}_losses_{kind}", np.array([float(stats[one]) for one in names])


def labels() -> Iterator[tuple[str, NDArray[Any]]]:
    """Who talks, by frames of 80 ms."""
    talks, lengths = torch.from_numpy(fakes.activity()), torch.tensor(fakes.LENGTHS)
    yield "pooled", original("layers.label_aggregation", "LabelAggregateMaxPooling")(8)(talks, lengths)[0].numpy()
    majority = original("layers.label_aggregation", "LabelAggregate")(16, 8)
    for index, length in enumerate(fakes.LENGTHS):
        found, _ = majority(talks[index : index + 1, :length], lengths[index : index + 1])
        yield f"majority_{index}", found[0].numpy()


def augmented() -> Iterator[tuple[str, NDArray[Any]]]:
    """What FunASR makes of profiles when it draws the numbers that the test names."""
    raw = torch.nn.functional.pad(torch.from_numpy(fakes.profiles())[2:], (0, 0, 0, 1))
    talks = torch.from_numpy(fakes.activity())[:1] * (torch.arange(6) < 4)
    # Disturb 2 by 4 with 0.2 * 0.7; split 0 to 5, of 4 and 5; merge 1 and 4, of 1, 3 and 4.
    draws = [torch.tensor(value) for value in (2, 4, 0, 1)] + [torch.tensor([0, 2])]
    noise = torch.from_numpy(fakes.random("noise").normal(size=10).astype(np.float32))
    with (
        mock.patch("numpy.random.rand", return_value=np.zeros(1)),
        mock.patch("torch.randint", side_effect=draws),
        mock.patch("torch.rand", return_value=torch.tensor(0.7)),
        mock.patch("torch.randn", return_value=noise),
    ):
        _, found, changed = original("models.specaug.profileaug", "ProfileAug")()(talks, None, raw, None, talks)
    yield "augmented_profiles", found[0].numpy()
    yield "augmented_activity", changed[0].numpy()


class Speaker(torch.nn.Module):
    """FunASR's speaker network, without the model class around it, which takes audio alone."""

    def __init__(self, sizes: dict[str, Any], classes: int) -> None:
        super().__init__()
        self.encoder = original("models.encoder.resnet34_encoder", "ResNet34")(
            sizes["mel_bins"],
            num_nodes_pooling_layer=sizes["pooled"],
            layers_in_block=sizes["blocks"],
            filters_in_block=sizes["filters"],
        )
        self.pooling_layer = original("models.pooling.statistic_pooling", "StatisticPooling")((2, 3))
        decoder = original("models.decoder.sv_decoder", "DenseDecoder")
        self.decoder = decoder(classes, 2 * sizes["pooled"], sizes["dimension"], sizes["last"])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Embed features as `Speech2Xvector` does."""
        lengths = torch.full((len(features),), features.shape[1])
        found: torch.Tensor = self.decoder(self.pooling_layer(self.encoder(features, lengths)[0]))[1]["resnet1_dense"]
        return found


def speaker() -> Iterator[tuple[str, NDArray[Any]]]:
    """Profiles of recordings of several lengths, one by one."""
    network = Speaker(fakes.SIZES, fakes.CLASSES).eval()
    draw(network)
    rows = torch.from_numpy(fakes.features())
    alone = [network(rows[index : index + 1, :length])[0] for index, length in enumerate(fakes.LENGTHS)]
    yield "speaker_vectors", torch.stack(alone).numpy()
    shapes = networks.shapes_of(Speaker(PUBLISHED, 3465).state_dict())
    yield "speaker_published", np.array(networks.fingerprint(shapes))


def published() -> Iterator[tuple[str, NDArray[Any]]]:
    """The names of both published models' weights, and a few numbers of the larger one."""
    for name, sizes in {"n16k4": PUBLISHED, "callhome": PUBLISHED_CALLHOME}.items():
        network = model(sizes)
        yield f"{name}_published", np.array(networks.fingerprint(networks.shapes_of(network.state_dict())))
    network = model(PUBLISHED)
    draw(network)
    found = stages(network, torch.from_numpy(fakes.features(80, 251, 1)), torch.from_numpy(fakes.profiles(256)[:1]))
    yield "full_cd", found["cd"][0, ::5]
    yield "full_ci", found["ci"][0, ::5]
    yield "full_logits", found["logits"][0, ::5, ::100]


def main() -> None:
    """Run everything and write it."""
    data: dict[str, NDArray[Any]] = {}
    with torch.no_grad():
        for name, sizes in fakes.VARIANTS.items():
            data.update(small(name, sizes))
            data.update(losses(name, sizes))
        for part in (quiet, labels, augmented, speaker, published):
            data.update(part())
    np.savez_compressed(DATA, **data)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
