"""`speakerdiar convert`: weights of another toolkit in, our own folder out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speakerdiar.errors import ModelError, SpeakerdiarError


def convert(
    source: Annotated[str, typer.Argument(help="A .nemo file, a model's folder, a model's name, or owner/name.")],
    out_dir: Annotated[Path, typer.Argument(help="Folder to write; it must not exist yet, or be empty.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the model that an earlier conversion left in the folder.")
    ] = False,
) -> None:
    """Write a model as a folder of config.yaml, model.safetensors and README.md.

    The folder holds nothing that could run. It is read by `--model` and `load_model`, like what it was made of.
    """
    from speakerdiar.cli.progress import fail
    from speakerdiar.models import load_model
    from speakerdiar.models.pretrained import PretrainedMixin

    try:
        model = load_model(source)
        if not isinstance(model, PretrainedMixin):
            raise ModelError(
                f"{source} can't be converted: {type(model).__name__} has no weights of its own to save. Name weights "
                "that `speakerdiar models info` knows."
            )
        written = model.save_pretrained(out_dir, overwrite=overwrite)
    except (SpeakerdiarError, OSError) as error:
        fail(error)
    typer.echo(f"written to {written}", err=True)
