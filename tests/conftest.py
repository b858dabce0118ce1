"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says more about a busy machine than about the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

ROOT = Path(__file__).resolve().parents[1]


def shared_folder() -> Path | None:
    """The folder of golden outputs and real recordings beside the checkout, where there is one."""
    named = os.environ.get("SPEAKERDIAR_SHARED")
    path = Path(named) if named else ROOT.parent / "shared"
    return path if path.is_dir() else None


@pytest.fixture(scope="session")
def shared() -> Path:
    """Golden outputs and recordings; tests that need them skip where they are absent."""
    path = shared_folder()
    if path is None:
        pytest.skip("no golden files: put the shared folder beside the checkout or name it in SPEAKERDIAR_SHARED")
    return path
