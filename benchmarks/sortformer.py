"""Streaming Sortformer at full size, with random weights, beside NeMo where a Python that has it is named.

    python benchmarks/sortformer.py                                    ours alone, 10 minutes of audio
    python benchmarks/sortformer.py --nemo ~/nemo/bin/python           both by turns, with the same weights and threads
    python benchmarks/sortformer.py --small --minutes 10 600           how memory grows from 10 minutes to 10 hours

Every run is a process of its own, so that peak memory is that run's own; ours and NeMo's take turns, so that a busy
machine burdens both. What counts is the ratio. `--small` takes a small network: memory grows with the recording, if it
does, and not with the network. `--live` measures the steps of a live session instead. On a busy machine threads that
wait for one another cost more than they bring: there, `--threads 1`, or OMP_WAIT_POLICY=PASSIVE, says more.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from long_recordings import made
from peak_memory import memory

THREADS = "2"
FULL: dict[str, Any] = {}
SMALL: dict[str, Any] = {"channels": 32, "d_model": 64, "heads": 4, "layers": 2, "d_inner": 256}


def main() -> None:
    """Make the weights and the audio, run everything in processes of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[10.0])
    parser.add_argument("--latency", default="30.4s", help="preset")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", default=THREADS)
    parser.add_argument("--nemo", help="a Python that has NeMo installed")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        who, weights, audio, latency = arguments.child
        print("\n" + json.dumps({"nemo": run_nemo, "ours": run_ours, "live": run_live}[who](weights, audio, latency)))
        return
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, {arguments.threads} threads, load {load:.1f} at start")
    with tempfile.TemporaryDirectory() as folder:
        weights = write_weights(Path(folder) / "random.nemo", SMALL if arguments.small else FULL, arguments.latency)
        for minutes in arguments.minutes:
            compare(weights, made(minutes / 60, folder), arguments)


def compare(weights: Path, audio: Path, arguments: argparse.Namespace) -> None:
    """Run ours and NeMo's by turns on one recording, and print the best of each."""
    runs: dict[str, list[dict[str, Any]]] = {"ours": []}
    if arguments.live:
        runs = {"live": []}
    elif arguments.nemo:
        runs["nemo"] = []
    for _ in range(arguments.rounds):
        for who, rows in runs.items():
            python = arguments.nemo if who == "nemo" else sys.executable
            rows.append(child([python, __file__, "--child", who, weights, audio, arguments.latency], arguments.threads))
    best = {who: min(rows, key=lambda row: float(row["seconds"])) for who, rows in runs.items()}
    for who, row in best.items():
        figures = ", ".join(f"{name} {value:.4g}" for name, value in row.items() if isinstance(value, float))
        print(f"{audio.stem} {who:5}: {figures}")
    if "nemo" in best:
        theirs, ours = best["nemo"], best["ours"]
        print(f"  speed: {theirs['seconds'] / ours['seconds']:.2f} times NeMo's")
        print(f"  peak memory: {ours['peak_mb'] / theirs['peak_mb']:.2f} of NeMo's")
        print(f"  speech that both find, of all that either finds: {agreement(ours['lines'], theirs['lines']):.6f}")


def child(command: list[Any], threads: str) -> dict[str, Any]:
    """Run a measurement in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
    if run.returncode:
        raise SystemExit(run.stderr[-2000:])
    result: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return result


def run_ours(weights: str, audio: str, latency: str) -> dict[str, Any]:
    """Diarize a recording with this library."""
    started = time.perf_counter()
    import speakerdiar

    model = speakerdiar.load_model(weights)
    loaded = time.perf_counter()
    [result] = model.diarize(audio, latency=latency)
    seconds = time.perf_counter() - loaded
    channels = {}  # NeMo names speakers by channel: both sides are compared as speech of anyone
    channels["lines"] = [f"{turn.start:.3f} {turn.end:.3f} anyone" for turn in result]
    return {"load": loaded - started, "seconds": seconds, "ratio": result.duration / seconds, **memory(), **channels}


def run_live(weights: str, audio: str, latency: str) -> dict[str, Any]:
    """Step a live session through a recording, in chunks of 80 ms."""
    import soundfile

    import speakerdiar
    from speakerdiar.mixins.streaming import StreamingMixin

    model = speakerdiar.load_model(weights)
    assert isinstance(model, StreamingMixin)
    session = model.stream(latency, sample_rate=16000)
    with soundfile.SoundFile(audio) as file:
        for block in file.blocks(1280, dtype="float32"):
            session.push(block)
    session.finish()
    stats = session.stats
    return {
        "seconds": stats.compute_seconds,
        "latency": stats.latency_seconds,
        "p50": stats.step_p50,
        "p95": stats.step_p95,
        "real_time_factor": stats.real_time_factor,
        **memory(),
    }


def run_nemo(weights: str, audio: str, latency: str) -> dict[str, Any]:
    """Diarize a recording with NeMo. The weights' config holds the preset."""
    started = time.perf_counter()
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    from nemo.collections.asr.models import SortformerEncLabelModel  # type: ignore[import-not-found]

    model = SortformerEncLabelModel.restore_from(weights, map_location="cpu")
    model.eval()
    loaded = time.perf_counter()
    [lines] = model.diarize(audio=[audio], batch_size=1, num_workers=0, verbose=False)
    seconds = time.perf_counter() - loaded
    return {"load": loaded - started, "seconds": seconds, **memory(), "lines": lines}


def agreement(ours: list[str], theirs: list[str]) -> float:
    """Share of the seconds of all turns that both sides have."""
    import numpy as np

    counts = []
    for lines in (ours, theirs):
        spans = [tuple(float(part) for part in line.split()[:2]) for line in lines]
        count = np.zeros(1 + round(100 * max((end for _, end in spans), default=0)), dtype=np.int64)
        for start, end in spans:
            count[round(100 * start) : round(100 * end)] += 1
        counts.append(count)
    length = max(map(len, counts))
    a, b = (np.pad(count, (0, length - len(count))) for count in counts)
    return float(np.minimum(a, b).sum() / max(1, np.maximum(a, b).sum()))


def write_weights(path: Path, sizes: dict[str, Any], latency: str) -> Path:
    """Write a `.nemo` file of a streaming Sortformer with random weights, which NeMo reads too."""
    import torch

    from speakerdiar.models.diarizers.sortformer_latency import LATENCIES
    from speakerdiar.nn.log_mel import LogMel
    from speakerdiar.nn.sortformer import SortformerNetwork, SortformerShape

    torch.manual_seed(0)
    network = SortformerNetwork(SortformerShape(**sizes))
    shape, mel = network.shape, LogMel(network.shape.n_mels)
    weights = dict(network.state_dict())
    weights["sortformer_modules.single_hidden_to_spks.weight"] *= (
        8  # so that chances lie on both sides of the threshold
    )
    weights["sortformer_modules.hidden_to_spks.weight"] = torch.zeros(shape.speakers, 2 * shape.d_transformer)
    weights["sortformer_modules.hidden_to_spks.bias"] = torch.zeros(shape.speakers)
    weights["preprocessor.featurizer.window"] = mel.window
    weights["preprocessor.featurizer.fb"] = mel.filters.T[None].contiguous()
    data = io.BytesIO()
    torch.save(weights, data)
    config = nemo_config(shape, vars(LATENCIES[latency]))
    with tarfile.open(path, "w") as tar:
        for name, content in (
            ("model_config.yaml", json.dumps(config).encode()),
            ("model_weights.ckpt", data.getvalue()),
        ):
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def nemo_config(shape: Any, streaming: dict[str, int]) -> dict[str, Any]:
    """The config of NeMo's `SortformerEncLabelModel` (JSON is YAML)."""
    asr = "nemo.collections.asr"
    widths = {"fc_d_model": shape.d_model, "tf_d_model": shape.d_transformer}
    return {
        "target": f"{asr}.models.sortformer_diar_models.SortformerEncLabelModel",
        "sample_rate": 16000,
        "streaming_mode": True,
        "max_num_of_spks": shape.speakers,
        "pil_weight": 0.5,
        "ats_weight": 0.5,
        "model_defaults": widths,
        "preprocessor": {
            "_target_": f"{asr}.modules.AudioToMelSpectrogramPreprocessor",
            "normalize": "NA",
            "window_size": 0.025,
            "sample_rate": 16000,
            "window_stride": 0.01,
            "window": "hann",
            "features": shape.n_mels,
            "n_fft": 512,
            "frame_splicing": 1,
            "dither": 1e-5,
        },
        "sortformer_modules": {
            "_target_": f"{asr}.modules.sortformer_modules.SortformerModules",
            "num_spks": shape.speakers,
            "dropout_rate": 0.5,
            **widths,
            **streaming,
        },
        "encoder": {
            "_target_": f"{asr}.modules.ConformerEncoder",
            "feat_in": shape.n_mels,
            "feat_out": -1,
            "n_layers": shape.layers,
            "d_model": shape.d_model,
            "subsampling": "dw_striding",
            "subsampling_factor": 8,
            "subsampling_conv_channels": shape.channels,
            "ff_expansion_factor": shape.d_inner // shape.d_model,
            "self_attention_model": "rel_pos",
            "n_heads": shape.heads,
            "att_context_size": [-1, -1],
            "xscaling": shape.xscaling,
            "untie_biases": True,
            "pos_emb_max_len": 5000,
            "conv_kernel_size": shape.kernel,
            "conv_norm_type": "batch_norm",
        },
        "transformer_encoder": {
            "_target_": f"{asr}.modules.transformer.transformer_encoders.TransformerEncoder",
            "num_layers": shape.transformer_layers,
            "hidden_size": shape.d_transformer,
            "inner_size": shape.transformer_inner,
            "num_attention_heads": shape.transformer_heads,
            "hidden_act": "relu",
            "pre_ln": False,
        },
        "loss": {"_target_": f"{asr}.losses.bce_loss.BCELoss", "weight": None, "reduction": "mean"},
        "optim": {"name": "adamw", "lr": 1e-4},
        "lr": 1e-4,
    }


if __name__ == "__main__":
    main()
