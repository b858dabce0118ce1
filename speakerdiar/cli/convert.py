"""`speakerdiar convert`: weights of another toolkit in, our own folder or an ONNX file out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speakerdiar.errors import ConfigError, ModelError, SpeakerdiarError


def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="A .nemo file, a model's folder, a model's name, owner/name; or weights of a segmenter or an embedder "
            "(.bin, .ckpt, .pt, .nemo, .safetensors, a folder)."
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(help="Folder to write, which must not exist yet or be empty; or, for ONNX, a file NAME.onnx."),
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what an earlier conversion left there.")
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="With .onnx: weights of 8 bits, a third to a quarter of the size.")
    ] = False,
) -> None:
    """Write a model as a folder of config.yaml, model.safetensors and README.md, or its network as an ONNX file.

    Neither holds anything that could run. A folder is read by `--model` and `load_model`, like what it was made of. An
    ONNX file is a segmenter or an embedder, with the metadata that sherpa-onnx reads.
    """
    from speakerdiar.cli.progress import fail

    try:
        written = _converted(source, out, overwrite, int8)
    except (SpeakerdiarError, OSError) as error:
        fail(error)
    typer.echo(f"written to {written}", err=True)


def _converted(source: str, out: Path, overwrite: bool, int8: bool) -> Path:
    from speakerdiar.models import MODELS

    if out.suffix == ".onnx":
        return _exported(source, out, overwrite, int8)
    if int8:
        raise ConfigError(
            f"--int8 with {out}: only ONNX files have it; give a name that ends in .onnx, or leave it out."
        )
    if out.suffix in (".nemo", ".safetensors", ".bin", ".pt", ".pth", ".ckpt"):
        raise ConfigError(f"{out}: {out.suffix} files aren't written; give a folder, or a name that ends in .onnx.")
    if source not in MODELS:
        from speakerdiar.checkpoints.pyannote_pipeline import is_pipeline
        from speakerdiar.models.opening import holds_part, local_place, transformers_type
        from speakerdiar.models.saving_parts import save_part

        place = local_place(source)
        if holds_part(place) and not (is_pipeline(place) or transformers_type(place)):
            return save_part(place, out, overwrite=overwrite)
    return _saved(source, out, overwrite)


def _exported(source: str, out: Path, overwrite: bool, int8: bool) -> Path:
    import torch

    from speakerdiar.models.export import export_onnx
    from speakerdiar.models.opening_parts import open_part

    part = open_part(source, "segmenter or embedder", torch.nn.Module)
    comment = {"comment": f"exported by speakerdiar from {Path(source).name}"}
    return export_onnx(part, out, int8=int8, overwrite=overwrite, metadata=comment)


def _saved(source: str, out: Path, overwrite: bool) -> Path:
    from speakerdiar.models import load_model
    from speakerdiar.models.pretrained import PretrainedMixin

    model = load_model(source)
    if not isinstance(model, PretrainedMixin):
        raise ModelError(
            f"{source} can't be converted: {type(model).__name__} has no weights of its own to save. Name weights "
            "that `speakerdiar models info` knows."
        )
    return model.save_pretrained(out, overwrite=overwrite)
