"""What SOND's network promises, whatever its weights; `tests/parity/test_sond.py` holds it to FunASR's numbers."""

from __future__ import annotations

from dataclasses import replace

import fakes_sond
import pytest
import torch
from fakes_networks import drawn_weights, shapes_of

from speakerdiar.errors import SpeakerCountError
from speakerdiar.nn.preact_resnet import TrunkShape
from speakerdiar.nn.sond import SondNetwork, SondSpeakerNetwork
from speakerdiar.nn.sond_shape import SondShape, SondSpeakerShape


def network_of(name: str, frames_at_once: int = 3200) -> SondNetwork:
    network = SondNetwork(SondShape(**fakes_sond.VARIANTS[name]), frames_at_once)
    network.load_state_dict(drawn_weights(shapes_of(network.state_dict())))
    return network.eval()


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    features, lengths = torch.from_numpy(fakes_sond.features()), torch.tensor(fakes_sond.LENGTHS)
    return features, lengths, torch.from_numpy(fakes_sond.profiles())


@pytest.mark.parametrize("name", fakes_sond.VARIANTS)
@torch.inference_mode()
def test_a_recording_is_the_same_in_any_batch(name: str) -> None:
    network, (features, lengths, raw) = network_of(name), inputs()
    found = network(features, lengths, raw)
    assert found.shape == (3, 26, network.shape.classes)
    for index, length in enumerate(lengths.tolist()):
        one = slice(index, index + 1)
        alone = network(features[one, :length], lengths[one], raw[one])[0]
        torch.testing.assert_close(found[index, : len(alone)], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", fakes_sond.VARIANTS)
@torch.inference_mode()
def test_pieces_change_nothing(name: str) -> None:
    expected = network_of(name)(*inputs())
    for frames_at_once in (1, 60):
        found = network_of(name, frames_at_once)(*inputs())
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_frames_behind_the_end_are_zero() -> None:
    network, (features, lengths, _) = network_of("n16k4"), inputs()
    frames = network.frames(features, lengths)
    assert frames.shape == (3, 26, 10)
    assert not frames[1, 19:].any()
    assert frames[1, 18].any()


@pytest.mark.parametrize("name", fakes_sond.VARIANTS)
@torch.inference_mode()
def test_profiles_have_any_length_and_absent_ones_are_zero(name: str) -> None:
    network, (_, _, raw) = network_of(name), inputs()
    encoded, present = network.profiles(raw)
    assert present.tolist() == [
        [True, True, False, True, True, False],
        [True, False, False, False, False, False],
        [True, True, True, True, True, False],
    ]
    assert torch.equal(encoded.any(2), present)
    torch.testing.assert_close(network.profiles(100 * raw)[0], encoded)


@pytest.mark.parametrize("name", fakes_sond.VARIANTS)
@torch.inference_mode()
def test_absent_speakers_of_a_recording_score_alike_and_speakers_may_change_places(name: str) -> None:
    network, (features, lengths, raw) = network_of(name), inputs()
    frames, (encoded, present) = network.frames(features, lengths), network.profiles(raw)
    dependent, independent = network.scores(frames, encoded, present, lengths).chunk(2, dim=2)
    for scores in (dependent, independent):
        assert torch.equal(scores[1, :, 1:], scores[1, :, 1:2].expand(-1, 5))
        assert (scores[0, :, 2] - scores[0, :, 3]).abs().max() > 1e-3
    moved = network.scores(frames, encoded.flip(1), present.flip(1), lengths).chunk(2, dim=2)
    for scores, found in zip((dependent, independent), moved, strict=True):
        torch.testing.assert_close(found.flip(2), scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", fakes_sond.VARIANTS)
@pytest.mark.parametrize("count", [800, 805])
@torch.inference_mode()
def test_frames_see_no_further_than_they_say(name: str, count: int) -> None:
    network, features = network_of(name), torch.from_numpy(fakes_sond.features(frames=count, count=1))
    frames, first = network.frames(features, torch.tensor([count])), 8 * 50
    features[:, : first - network.reach] += 1
    features[:, first + network.reach + 1 :] -= 1
    changed = network.frames(features, torch.tensor([count]))
    torch.testing.assert_close(changed[:, 50], frames[:, 50])
    assert (changed[:, 20] - frames[:, 20]).abs().max() > 1e-3


def test_more_profiles_than_slots_are_refused() -> None:
    with pytest.raises(SpeakerCountError, match="7 speakers: this network takes 6 profiles at most"):
        network_of("n16k4").profiles(torch.ones(1, 7, 10))


@pytest.mark.parametrize("name", fakes_sond.VARIANTS)
def test_all_but_the_unused_layers_learn(name: str) -> None:
    network = network_of(name).train()
    network(*inputs()).logsumexp(2).sum().backward()
    idle = {
        part
        for part, value in network.named_parameters()
        if value.grad is None or not value.grad.isfinite().all() or not value.grad.any()
    }
    unused = {"resnet1_bn.weight", "resnet1_bn.bias"}
    unused |= {f"resnet2_{part}.{kind}" for part in ("dense", "bn") for kind in ("weight", "bias")}
    assert {part for part in idle if "linear_q_k_v" not in part} == {f"encoder.{part}" for part in unused}


@torch.inference_mode()
def test_the_speaker_network_embeds_each_recording_by_itself() -> None:
    trunk = TrunkShape((4, 6, 8, 10), (1, 2, 1, 1), 24, 12)
    for shape in (trunk, replace(trunk, joined=True)):
        network = SondSpeakerNetwork(SondSpeakerShape(shape, 7, 9, 3)).eval()
        features, lengths, _ = inputs()
        found = network(features, lengths)
        assert found.shape == (3, 7)
        for index, length in enumerate(lengths.tolist()):
            alone = network(features[index : index + 1, :length], lengths[index : index + 1])[0]
            torch.testing.assert_close(found[index], alone)
