"""Which frames a full speaker cache keeps: the compression of "Streaming Sortformer" (arXiv:2507.18446).

Everything here is of one recording: n frames, S speakers, predictions P of shape (n, S). The GPU is never waited for.
"""

from __future__ import annotations

import math

import torch

from speakerdiar.nn.speaker_cache_params import CacheParams


def compress(
    embeddings: torch.Tensor,
    preds: torch.Tensor,
    mean_silence: torch.Tensor,
    params: CacheParams,
    order: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the `cache_len` frames that are worth keeping, by speaker and then by time, and their predictions.

    Behind each speaker's frames stand places of silence, whose predictions are 0; so do places for which there
    is no frame good enough, at the very end.

    Args:
        embeddings: (n, D), the cache as it was and the frames that join it; n > cache_len.
        preds: (n, S).
        mean_silence: (D,), what fills a place of silence.
        params: lengths, thresholds and rates.
        order: (S,), whose frames come first, second and so on; None for the order of channels.
    """
    scores = frame_scores(preds.float(), params)
    # (cache_len,), n where silence goes
    frames = pick_frames(scores if order is None else scores[:, order], params)
    silent = (frames == len(preds)).unsqueeze(1)
    frames = frames.clamp(max=len(preds) - 1)
    kept = torch.where(silent, mean_silence.to(embeddings.dtype), embeddings[frames])
    return kept, preds[frames].masked_fill(silent, 0)


def frame_scores(preds: torch.Tensor, params: CacheParams) -> torch.Tensor:
    """Return how much each frame is worth to each speaker's part of the cache: (n, S), -inf where nothing."""
    share = params.frames_per_speaker
    scores = log_pred_scores(preds, params.pred_score_threshold)
    scores = without_low_scores(scores, preds, math.floor(share * params.min_pos_scores_rate))
    scores[params.cache_len :] += params.scores_boost_latest
    scores = boost_best(scores, math.floor(share * params.strong_boost_rate), 2 * math.log(2))
    return boost_best(scores, math.floor(share * params.weak_boost_rate), math.log(2))


def log_pred_scores(preds: torch.Tensor, threshold: float) -> torch.Tensor:
    """Score frames by how surely the speaker is heard, and heard alone: (n, S).

    The score of speaker k is log P_k + sum over j != k of log(1 - P_j) - log 0.5: positive where "k and no one
    else" is likelier than a coin's head.
    """
    log_p = preds.clamp(min=threshold).log()  # log P_k
    log_not_p = (1 - preds).clamp(min=threshold).log()  # log(1 - P_k)
    return log_p - log_not_p + log_not_p.sum(dim=1, keepdim=True) - math.log(0.5)


def without_low_scores(scores: torch.Tensor, preds: torch.Tensor, enough: int) -> torch.Tensor:
    """Put -inf where the speaker isn't heard, and, if `enough` frames of his score above 0, where the score doesn't."""
    scores = scores.masked_fill(preds <= 0.5, -math.inf)
    positive = scores > 0
    plenty = positive.sum(dim=0) >= enough  # (S,)
    return scores.masked_fill(~positive & plenty, -math.inf)


def boost_best(scores: torch.Tensor, count: int, amount: float) -> torch.Tensor:
    """Add `amount` to the `count` best scores of every speaker, or to all where there are fewer."""
    # A frame that the cache holds twice gives equal scores, and which of them topk takes is open. Results equal
    # NeMo's on the CPU because the call is the same: float32, along the frames of one recording, unsorted.
    best, places = scores.topk(min(count, len(scores)), dim=0, sorted=False)
    return scores.scatter(0, places, best + amount)


def pick_frames(scores: torch.Tensor, params: CacheParams) -> torch.Tensor:
    """Return the frames of the best scores, by speaker and then by time: (cache_len,), n standing for silence."""
    silence = scores.new_full((params.sil_frames_per_speaker, params.num_speakers), math.inf)
    slots = torch.cat([scores, silence])  # (n + sil, S): silence is always among the best
    best, places = slots.T.reshape(-1).topk(params.cache_len, sorted=False)  # speaker by speaker; ties as in boost_best
    nowhere = slots.numel()
    places = places.masked_fill(best == -math.inf, nowhere).sort().values
    frames = (places % len(slots)).clamp(max=len(scores))
    return frames.masked_fill(places == nowhere, len(scores))
