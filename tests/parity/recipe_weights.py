"""WeSpeaker weights that golden folders describe by a recipe instead of holding them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import torch


def recipe_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a golden folder's `recipe.json`, by pyannote's names, checked against its digest."""
    peers = folder.parent
    recipe = json.loads((folder / "recipe.json").read_text())
    spec = importlib.util.spec_from_file_location("wespeaker_recipe", peers / "2_wespeaker" / "wespeaker_recipe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with np.load(folder / recipe["small"], allow_pickle=False) as small:
        weights: dict[str, torch.Tensor] = module.build(recipe["seed"], dict(small))
    assert module.digest(weights) == recipe["sha256_tensors"]
    return weights
