"""The choice of a full cache, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from speakerdiar.nn.speaker_cache_params import CacheParams
from speakerdiar.nn.speaker_cache_scores import (
    boost_best,
    compress,
    frame_scores,
    log_pred_scores,
    pick_frames,
    without_low_scores,
)

INF = math.inf


def params(speakers: int, cache_len: int, silence: int, **rates: float) -> CacheParams:
    return CacheParams(
        num_speakers=speakers, cache_len=cache_len, sil_frames_per_speaker=silence,
        fifo_len=0, update_period=1, chunk_len=1, left_context=0, right_context=0, **rates,
    )  # fmt: skip


def test_a_score_is_the_log_odds_of_being_alone() -> None:
    scores = log_pred_scores(torch.tensor([[0.9, 0.4], [0.9, 0.0], [0.5, 0.5]]), 0.25)
    expected = [
        [math.log(0.9 * 0.6 / 0.5), math.log(0.4 * 0.25 / 0.5)],  # 1 - 0.9 counts as 0.25
        [math.log(0.9 * 1.0 / 0.5), math.log(0.25 * 0.25 / 0.5)],
        [math.log(0.5), math.log(0.5)],
    ]
    torch.testing.assert_close(scores, torch.tensor(expected))


def test_unheard_frames_are_worth_nothing_and_doubtful_ones_only_where_there_are_few() -> None:
    preds = torch.tensor([[0.9, 0.9], [0.9, 0.5], [0.8, 0.6]])
    scores = torch.tensor([[1.0, 1.0], [0.0, 3.0], [-1.0, -2.0]])
    found = without_low_scores(scores, preds, 1)
    assert found.tolist() == [[1.0, 1.0], [-INF, -INF], [-INF, -INF]]
    found = without_low_scores(scores, preds, 2)
    assert found.tolist() == [[1.0, 1.0], [0.0, -INF], [-1.0, -2.0]]


def test_the_best_of_each_speaker_are_boosted() -> None:
    scores = torch.tensor([[1.0, 6.0], [3.0, 5.0], [2.0, -INF]])
    assert boost_best(scores, 2, 10).tolist() == [[1.0, 16.0], [13.0, 15.0], [12.0, -INF]]
    assert boost_best(scores, 0, 10).tolist() == scores.tolist()
    assert boost_best(scores, 9, 10).tolist() == [[11.0, 16.0], [13.0, 15.0], [12.0, -INF]]  # NeMo fails here


def test_picked_frames_go_by_speaker_and_then_by_time() -> None:
    scores = torch.tensor([[1.0, 5.0], [-INF, 4.0], [3.0, -INF], [2.0, 1.0]])
    # Speaker 0: frames 2 and 3, then silence; speaker 1: frames 0 and 1, then silence.
    assert pick_frames(scores, params(2, 6, 1)).tolist() == [2, 3, 4, 0, 1, 4]
    # Room for all six scores, and for one frame more than there are: silence at the end.
    assert pick_frames(scores, params(2, 9, 1)).tolist() == [0, 2, 3, 4, 0, 1, 3, 4, 4]
    assert pick_frames(scores, params(2, 3, 0)).tolist() == [2, 0, 1]


def test_latest_frames_are_preferred() -> None:
    """All frames are equally good; the one that wasn't in the cache is worth `scores_boost_latest` more."""
    rates = {"strong_boost_rate": 0.0, "weak_boost_rate": 0.0}
    scores = frame_scores(torch.full((3, 1), 0.9), params(1, 2, 0, scores_boost_latest=0.5, **rates))
    best = math.log(0.9 / 0.5)
    torch.testing.assert_close(scores, torch.tensor([[best], [best], [best + 0.5]]))


def test_a_cache_of_five_frames_becomes_four() -> None:
    """Worked by hand: one place and one place of silence for each of two speakers, five frames.

    Frame:        0           1           2           3           4 (new)
    P:            .9 .1       .6 .1       .1 .8       .9 .9       .2 .2
    score of 0:   log 1.62    log 1.08    -           log .45     -            (- where P <= .5)
    score of 1:   -           -           log 1.44    log .45     -
    One place each: no boost of the strong kind (floor .75), the best one gains log 2 (floor 1.5). The least of
    positive scores is floor .5 = 0, so overlapped frame 3, of score below 0, goes for both. Of the silence that
    always stays and the three scores left, the best four are 0's frame 0 and 1's frame 2.
    """
    preds = torch.tensor([[0.9, 0.1], [0.6, 0.1], [0.1, 0.8], [0.9, 0.9], [0.2, 0.2]])
    tiny = params(2, 4, 1)
    scores = frame_scores(preds, tiny)
    by_hand = [[3.24, 0], [1.08, 0], [0, 2.88], [0, 0], [0, 0]]
    torch.testing.assert_close(scores.exp(), torch.tensor(by_hand))
    embeddings = torch.tensor([[10.0], [11.0], [12.0], [13.0], [14.0]])
    kept, kept_preds = compress(embeddings, preds, torch.tensor([7.0]), tiny)
    assert kept[:, 0].tolist() == [10, 7, 12, 7]
    assert torch.equal(kept_preds, torch.tensor([[0.9, 0.1], [0, 0], [0.1, 0.8], [0, 0]]))


def test_a_frame_may_stand_for_two_speakers() -> None:
    preds = torch.tensor([[0.9, 0.9], [0.1, 0.1], [0.1, 0.1]])
    kept, _ = compress(
        torch.tensor([[1.0], [2.0], [3.0]]), preds, torch.zeros(1), params(2, 2, 0, min_pos_scores_rate=1.0)
    )
    assert kept[:, 0].tolist() == [1, 1]


@pytest.mark.parametrize("speakers", [1, 8])
def test_silence_gives_a_cache_of_silence(speakers: int) -> None:
    few = params(speakers, 40, 3)
    kept, preds = compress(torch.rand(41, 2), torch.zeros(41, speakers), torch.tensor([1.0, 2.0]), few)
    assert torch.equal(kept, torch.tensor([[1.0, 2.0]]).expand(40, 2))
    assert torch.equal(preds, torch.zeros(40, speakers))


def test_one_speaker_keeps_his_newest_frames_in_order() -> None:
    """With one speaker more frames are to be boosted than there are: NeMo fails, we boost all."""
    kept, _ = compress(torch.arange(5.0).unsqueeze(1), torch.full((5, 1), 0.9), torch.zeros(1), params(1, 4, 0))
    assert len(kept) == 4
    assert kept[:, 0].tolist() == sorted(kept[:, 0].tolist())
    assert kept[-1] == 4
