"""The peak memory of a benchmark's process."""

from __future__ import annotations

import resource
from pathlib import Path


def memory() -> dict[str, float]:
    """Peak memory of this process."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says is at least what the parent had when it started this process
        [peak] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return {"peak_mb": int(peak) / 1024}
    return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
