"""Which files of a model repository are fetched: types that can't hold code, and of those the ones a model needs.

Files of PyTorch and NumPy could hold code, which other programs run; the readers here take tensors and plain values out
of them and run nothing. They are fetched where weights come in no other form.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence

WEIGHT_SUFFIXES = (".nemo", ".safetensors", ".onnx", ".bin", ".ckpt", ".pt", ".npz")
SAFE_SUFFIXES = (*WEIGHT_SUFFIXES, ".yaml", ".json", ".md")

# What weights come in, best first: files that must all be there, and those taken along where they are there.
_CARD = "README.md"
_FORMS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("config.yaml", "model.safetensors"), (_CARD,)),  # our own
    (("*.nemo",), (_CARD,)),
    (("config.json", "*.safetensors"), (_CARD, "*processor_config.json", "*.safetensors.index.json")),  # transformers
    (("*.onnx",), (_CARD, "config.yaml", "config.json")),
    (("config.yaml", "segmentation/pytorch_model.bin"), (_CARD, "*/pytorch_model.bin", "*/*.npz")),  # a pipeline
    (("pytorch_model.bin",), (_CARD, "config.yaml")),  # pyannote.audio
    (("avg_model.pt",), (_CARD, "config.yaml")),  # WeSpeaker
)


def is_safe(name: str) -> bool:
    """Whether a file of this name is ever fetched: a type that holds no code, at a place inside the repository."""
    inside = not name.startswith("/") and "\\" not in name and not {"", ".", ".."} & set(name.split("/"))
    return inside and name.lower().endswith(SAFE_SUFFIXES)


def is_weight(name: str) -> bool:
    """Whether a file of this name holds weights."""
    return name.lower().endswith(WEIGHT_SUFFIXES)


def wanted(names: Iterable[str], patterns: Sequence[str] = ()) -> list[str]:
    """Choose from the files of a repository.

    Args:
        names: all files.
        patterns: names or patterns of those to take; without any, the weights in the best form on offer (our own
            folder, `.nemo`, transformers, ONNX, a pipeline's folder, PyTorch) and what belongs to it.

    Returns:
        Safe names in order, without patterns among them at least one file of weights; nothing where there is none to
        take.
    """
    safe = sorted(name for name in names if is_safe(name))
    return _matching(safe, patterns) if patterns else _best_form(safe)


def _best_form(names: Sequence[str]) -> list[str]:
    for needed, beside in _FORMS:
        if all(_matching(names, (pattern,)) for pattern in needed):
            return _matching(names, (*needed, *beside))
    return []


def _matching(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the names that match a pattern. A star stands for anything within one folder."""
    return [
        name
        for name in names
        if any(name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    ]
