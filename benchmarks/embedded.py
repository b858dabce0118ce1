"""Time and memory of the embedded diarizer on long recordings, stage by stage.

    python benchmarks/embedded.py                 an hour
    python benchmarks/embedded.py --hours 1 6     growth from one to six hours
    python benchmarks/embedded.py --audio talk.wav

The long recording is the examples' conversation, repeated with another level and fresh noise each time. Every length
runs in a process of its own, so that peak memory is that length's own. The last column is the ratio to real time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from long_recordings import made


def main() -> None:
    """Run every length in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, nargs="+", default=[1.0])
    parser.add_argument("--audio", help="measure on this recording instead")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.audio, arguments.model)))
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at start")
    with tempfile.TemporaryDirectory() as folder:
        for path in [arguments.audio] if arguments.audio else (made(hours, folder) for hours in arguments.hours):
            command = [sys.executable, __file__, "--child", "--audio", str(path), "--model", arguments.model]
            report(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def measure(path: str, name: str) -> dict[str, Any]:
    """Diarize one recording; return seconds per stage and the process's peak memory."""
    started = time.perf_counter()
    import speakerdiar

    model: Any = speakerdiar.load_model(name)
    loaded = time.perf_counter()
    seconds: dict[str, float] = defaultdict(float)
    for part, method in (("segmenter", "segment_blocks"), ("embedder", "embed_spans"), ("clusterer", "fit_predict")):
        owner = getattr(model, part)
        # Some parts are frozen: the timer goes beside their fields, not into one.
        object.__setattr__(owner, method, timed(getattr(owner, method), part, seconds))
    [result] = model.diarize(path)
    ended = time.perf_counter()
    total = ended - loaded
    return {
        "audio": result.duration,
        "turns": len(result),
        "speakers": len(result.speakers),
        "load": loaded - started,
        **seconds,
        "rest": total - sum(seconds.values()),
        "total": total,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def timed(function: Callable[..., Any], name: str, seconds: dict[str, float]) -> Callable[..., Any]:
    """Add the time that a function takes to `seconds[name]`; reading the audio that it is handed counts apart."""

    def run(*arguments: Any, **named: Any) -> Any:
        reading = seconds["reading"]
        started = time.perf_counter()
        result = function(*(read(a) if isinstance(a, Iterator) else a for a in arguments), **named)
        seconds[name] += time.perf_counter() - started - (seconds["reading"] - reading)
        return result

    def read(blocks: Iterator[Any]) -> Iterator[Any]:
        while True:
            started = time.perf_counter()
            block = next(blocks, None)
            seconds["reading"] += time.perf_counter() - started
            if block is None:
                return
            yield block

    return run


def report(row: dict[str, Any]) -> None:
    """Print one recording's figures."""
    audio = row["audio"]
    found = f"{row['speakers']} speakers, {row['turns']} turns"
    print(f"\n{audio / 3600:.2f} h of audio, {found}, peak {row['peak_mb']:.0f} MB")
    for name in ("load", "reading", "segmenter", "embedder", "clusterer", "rest", "total"):
        taken = row.get(name, 0.0)
        print(f"  {name:10} {taken:8.2f} s   {audio / max(taken, 1e-9):9.0f} x real time")


if __name__ == "__main__":
    main()
