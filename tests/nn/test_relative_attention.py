"""Relative attention against its formula in float64, frame by frame."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerdiar.nn import relative_attention
from speakerdiar.nn.relative_attention import RelativeAttention, RelativePositions, relative_bias

WIDTH, HEADS = 12, 3
SIZE = WIDTH // HEADS


def attention(seed: int = 0) -> RelativeAttention:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = RelativeAttention(WIDTH, HEADS)
        for weight in made.parameters():
            torch.nn.init.normal_(weight, std=0.5)
    return made.eval().requires_grad_(False)


def frames(length: int, rows: int = 1, seed: int = 1) -> torch.Tensor:
    return torch.randn(rows, length, WIDTH, generator=torch.Generator().manual_seed(seed))


def sinusoid(distance: int) -> torch.Tensor:
    angles = [distance * 10000.0 ** (-2 * (k // 2) / WIDTH) for k in range(WIDTH)]
    return torch.tensor([math.cos(a) if k % 2 else math.sin(a) for k, a in enumerate(angles)], dtype=torch.float64)


def attend(made: RelativeAttention, x: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
    found: torch.Tensor = made(x, made.project(RelativePositions(WIDTH)(x.shape[1], x)), valid)
    return found


def by_hand(made: RelativeAttention, x: torch.Tensor, valid: list[bool]) -> torch.Tensor:
    """Dai et al. 2019, section 3.3: every pair of frames by itself, in float64."""
    made, x = made.double(), x.double()
    query, key, value = (net(x).view(-1, HEADS, SIZE) for net in (made.linear_q, made.linear_k, made.linear_v))
    out = torch.zeros_like(query)
    for head in range(HEADS):
        for i in range(len(x)):
            scores = torch.full((len(x),), -torch.inf, dtype=torch.float64)
            for j in (j for j in range(len(x)) if valid[j]):
                place = made.linear_pos(sinusoid(i - j)).view(HEADS, SIZE)[head]
                content = (query[i, head] + made.pos_bias_u[head]) @ key[j, head]
                scores[j] = (content + (query[i, head] + made.pos_bias_v[head]) @ place) / math.sqrt(SIZE)
            out[i, head] = scores.softmax(0) @ value[:, head]
    mixed: torch.Tensor = made.linear_out(out.flatten(1))
    return mixed


@pytest.mark.parametrize("length", [1, 2, 3, 8, 13])
def test_is_the_formula(length: int) -> None:
    x = frames(length)
    found = attend(attention(), x)
    torch.testing.assert_close(found[0].double(), by_hand(attention(), x[0], [True] * length), rtol=0, atol=1e-5)


def test_frames_that_arent_there_arent_seen() -> None:
    x, valid = frames(9), [True] * 5 + [False] * 4
    found = attend(attention(), x, torch.tensor([valid]))
    torch.testing.assert_close(found[0].double(), by_hand(attention(), x[0], valid), rtol=0, atol=1e-5)
    x[0, 5:] = 1e6
    again = attend(attention(), x, torch.tensor([valid]))
    torch.testing.assert_close(again[0, :5], found[0, :5], rtol=0, atol=0)


@settings(max_examples=25)
@given(length=st.integers(1, 40), at_once=st.integers(1, 45), rows=st.integers(1, 3))
def test_blocks_of_queries_of_any_size_give_the_same(length: int, at_once: int, rows: int) -> None:
    made, x = attention(), frames(length, rows)
    whole = attend(made, x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relative_attention, "QUERIES_AT_ONCE", at_once)
        torch.testing.assert_close(attend(made, x), whole, rtol=0, atol=1e-5)


def test_more_queries_than_a_block_holds_see_all_keys() -> None:
    made, length = attention(), 2 * relative_attention.QUERIES_AT_ONCE + 3
    x = frames(length)
    found = attend(made, x)
    # A frame sees only how far away the others are: what a window around it can't change is what stands outside it.
    last = by_hand(attention(), x[0, -12:], [True] * 12)
    assert not torch.allclose(found[0, -1].double(), last[-1], atol=1e-3)
    only = torch.arange(length)[None] >= length - 12
    masked = attend(made, x, only)
    torch.testing.assert_close(masked[0, -12:].double(), last, rtol=0, atol=1e-5)


@given(length=st.integers(1, 12), first=st.integers(0, 11), rows=st.integers(1, 12))
def test_each_query_meets_each_key_at_its_distance(length: int, first: int, rows: int) -> None:
    first = min(first, length - 1)
    rows = min(rows, length - first)
    place = torch.ones(2, 1, rows, 1)
    distances = torch.arange(length - 1, -length, -1.0)[None, None]  # (H, d, 2 L - 1), H = d = 1
    found = relative_bias(place, distances, first)
    wanted = torch.tensor([[float(i - j) for j in range(length)] for i in range(first, first + rows)])
    torch.testing.assert_close(found, wanted.expand(2, 1, rows, length), rtol=0, atol=0)


def test_positions_are_sines_and_cosines_of_the_distance() -> None:
    table = RelativePositions(WIDTH)(5, torch.zeros(0))
    wanted = torch.stack([sinusoid(distance) for distance in range(4, -5, -1)])
    torch.testing.assert_close(table.double(), wanted, rtol=0, atol=1e-6)
    assert RelativePositions(WIDTH)(5, torch.zeros(0, dtype=torch.bfloat16)).dtype == torch.bfloat16
