"""The rebuilt silero network against a frame-by-frame computation of its own parts."""

from __future__ import annotations

import torch

from speakerdiar.nn.silero import CONTEXT, FRAME, SileroNetwork, from_silero_names


def test_a_run_in_pieces_with_the_state_handed_on_equals_one_run() -> None:
    torch.manual_seed(0)
    network = SileroNetwork().eval()
    samples = torch.randn(2, CONTEXT + 11 * FRAME) * 0.1
    with torch.inference_mode():
        whole, _ = network(samples)
        first, state = network(samples[:, : CONTEXT + 4 * FRAME])
        second, _ = network(samples[:, 4 * FRAME :], state)
    assert whole.shape == (2, 11)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, rtol=0, atol=1e-6)


def test_rows_of_a_batch_do_not_meet() -> None:
    torch.manual_seed(1)
    network = SileroNetwork().eval()
    samples = torch.randn(3, CONTEXT + 5 * FRAME)
    with torch.inference_mode():
        together, _ = network(samples)
        alone = torch.cat([network(row[None])[0] for row in samples])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def test_names_of_the_8_khz_network_are_left_out_and_unknown_ones_kept() -> None:
    tensor = torch.zeros(1)
    names = {"_model.decoder.rnn.weight_ih", "_model_8k.decoder.rnn.weight_ih", "_model.new"}
    assert set(from_silero_names(dict.fromkeys(names, tensor))) == {"lstm.weight_ih_l0", "_model.new"}
