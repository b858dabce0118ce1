"""SOND against FunASR's own code, stage by stage, with drawn weights.

`make_sond.py` ran that code and wrote what it returned. FunASR lets padding into results, so its recordings went
through one by one; ours go through in one batch, and must not differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import fakes_sond
import numpy as np
import pytest
import torch
from fakes_networks import drawn_weights, fingerprint, shapes_of
from numpy.typing import NDArray

from speakerdiar.nn.preact_resnet import TrunkShape, frame_count
from speakerdiar.nn.profile_augmentation import disturbed, divided, merged
from speakerdiar.nn.sond import SondNetwork, SondSpeakerNetwork
from speakerdiar.nn.sond_loss import SondObjective, majority_activity, pooled_activity
from speakerdiar.nn.sond_shape import ALIMEETING, CALLHOME, SondShape, SondSpeakerShape
from speakerdiar.postprocessing.power_set_encoding import PowerSetEncoding

Network = TypeVar("Network", bound=torch.nn.Module)
TOLERANCE = 1e-5
"""Of the greatest value of what is compared."""
OBJECTIVES = {
    "alimeeting": SondObjective(),
    "callhome": SondObjective(smoothing=0, distance=0, scores=0.1),
    "sums": SondObjective(scores=0.5, per_frame=False),
}


@pytest.fixture(scope="module")
def returned() -> dict[str, NDArray[Any]]:
    with np.load(Path(__file__).parent / "data" / "sond.npz", allow_pickle=False) as data:
        return dict(data)


def close(found: torch.Tensor, wanted: NDArray[Any]) -> None:
    assert wanted.std() > 0.01
    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=TOLERANCE * float(np.abs(wanted).max()))


def drawn(network: Network) -> Network:
    network.load_state_dict(drawn_weights(shapes_of(network.state_dict())))
    return network.eval()


def small(name: str) -> SondNetwork:
    return drawn(SondNetwork(SondShape(**fakes_sond.VARIANTS[name]), frames_at_once=60))


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Recordings whose padding is far from zero, their lengths and profiles."""
    features, lengths = torch.from_numpy(fakes_sond.features()), torch.tensor(fakes_sond.LENGTHS)
    return features, lengths, torch.from_numpy(fakes_sond.profiles())


@pytest.mark.parametrize("name", fakes_sond.VARIANTS)
@torch.inference_mode()
def test_each_stage_of_a_batch_of_several_lengths(returned: dict[str, NDArray[Any]], name: str) -> None:
    network, (features, lengths, raw) = small(name), batch()
    frames, (encoded, present) = network.frames(features, lengths), network.profiles(raw)
    scores = network.scores(frames, encoded, present, lengths)
    dependent, independent = scores.chunk(2, dim=2)
    logits = network(features, lengths, raw)
    torch.testing.assert_close(network.logits(scores, lengths), logits)
    for index, length in enumerate(fakes_sond.LENGTHS):
        close(encoded[index], returned[f"{name}_profiles_{index}"])
        stages = {"frames": frames, "cd": dependent, "ci": independent, "logits": logits}
        for stage, found in stages.items():
            close(found[index, : frame_count(length)], returned[f"{name}_{stage}_{index}"])


@pytest.mark.parametrize("name", fakes_sond.VARIANTS)
@torch.inference_mode()
def test_a_batch_of_one_length(returned: dict[str, NDArray[Any]], name: str) -> None:
    features, lengths, raw = batch()
    close(small(name)(features, torch.full_like(lengths, features.shape[1]), raw), returned[f"{name}_logits_batch"])


@torch.inference_mode()
def test_norms_of_small_values(returned: dict[str, NDArray[Any]]) -> None:
    network = small("n16k4")
    network.load_state_dict(fakes_sond.quiet(network.state_dict()))
    rows = torch.from_numpy(fakes_sond.quiet_rows())
    close(network.cd_scorer(rows), returned["quiet_cd"])
    close(network.decoder(rows[..., :12]), returned["quiet_combiner"])


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize("name", fakes_sond.VARIANTS)
@torch.inference_mode()
def test_losses(returned: dict[str, NDArray[Any]], name: str, kind: str) -> None:
    network, (features, lengths, raw) = small(name), batch()
    full = torch.full_like(lengths, features.shape[1])
    encoded, present = network.profiles(raw)
    scores = network.scores(network.frames(features, full), encoded, present, full)
    pooled = pooled_activity(torch.from_numpy(fakes_sond.activity()))
    encoding = PowerSetEncoding(network.shape.speakers, network.shape.at_once)
    found = OBJECTIVES[kind](network.logits(scores, full), scores, encoded, pooled, lengths // 8, encoding)
    parts = (found.total, found.classes, found.distance, found.dependent, found.independent)
    np.testing.assert_allclose([float(part) for part in parts], returned[f"{name}_losses_{kind}"], rtol=1e-5)


def test_labels(returned: dict[str, NDArray[Any]]) -> None:
    activity, lengths = torch.from_numpy(fakes_sond.activity()), torch.tensor(fakes_sond.LENGTHS)
    np.testing.assert_array_equal(pooled_activity(activity), returned["pooled"])
    found, counts = majority_activity(activity, lengths, 16)
    for index, count in enumerate(counts.tolist()):
        np.testing.assert_array_equal(found[index, :count], returned[f"majority_{index}"])


def test_augmentation(returned: dict[str, NDArray[Any]]) -> None:
    raw = torch.nn.functional.pad(torch.from_numpy(fakes_sond.profiles())[2], (0, 0, 0, 1))
    activity = torch.from_numpy(fakes_sond.activity())[0] * (torch.arange(6) < 4)
    noise = torch.from_numpy(fakes_sond.random("noise").normal(size=10).astype(np.float32))
    profiles = disturbed(torch.nn.functional.normalize(raw, dim=1), 2, 4, 0.2 * 0.7)
    profiles = divided(profiles, 0, 5, 0.2 * torch.nn.functional.normalize(noise, dim=0))
    profiles, activity = merged(profiles, activity, 1, 4)
    close(profiles, returned["augmented_profiles"])
    np.testing.assert_array_equal(activity, returned["augmented_activity"])


@torch.inference_mode()
def test_profiles_of_the_speaker_network(returned: dict[str, NDArray[Any]]) -> None:
    sizes = fakes_sond.SIZES
    trunk = TrunkShape(sizes["filters"], sizes["blocks"], sizes["mel_bins"], sizes["pooled"])
    shape = SondSpeakerShape(trunk, sizes["dimension"], sizes["last"], fakes_sond.CLASSES)
    features, lengths, _ = batch()
    close(drawn(SondSpeakerNetwork(shape))(features, lengths), returned["speaker_vectors"])


@torch.inference_mode()
def test_published_sizes(returned: dict[str, NDArray[Any]]) -> None:
    with torch.device("meta"):
        networks = {
            "n16k4": SondNetwork(ALIMEETING),
            "callhome": SondNetwork(CALLHOME),
            "speaker": SondSpeakerNetwork(SondSpeakerShape()),
        }
    for name, network in networks.items():
        assert fingerprint(shapes_of(network.state_dict())) == returned[f"{name}_published"]
    full = drawn(SondNetwork(ALIMEETING))
    features, lengths = torch.from_numpy(fakes_sond.features(80, 251, 1)), torch.tensor([251])
    encoded, present = full.profiles(torch.from_numpy(fakes_sond.profiles(256)[:1]))
    scores = full.scores(full.frames(features, lengths), encoded, present, lengths)
    dependent, independent = scores.chunk(2, dim=2)
    close(dependent[0, ::5], returned["full_cd"])
    close(independent[0, ::5], returned["full_ci"])
    close(full.logits(scores, lengths)[0, ::5, ::100], returned["full_logits"])
