"""`speakerdiar models`: what can be loaded, what a weight file is, and weights from the Hub."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from speakerdiar.errors import ConfigError, MissingExtraError, SpeakerdiarError, UnknownModelError, closest

if TYPE_CHECKING:
    from speakerdiar.checkpoints.hub import Snapshot
    from speakerdiar.models import ModelInfo

app = typer.Typer(help="Say what can be loaded; fetch weights; look into weight files.", invoke_without_command=True)

_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
_Revision = Annotated[str | None, typer.Option(help="Commit, branch or tag, in place of the model's own.")]


@app.callback()
def models(context: typer.Context, as_json: _AsJson = False) -> None:
    """List the models, or pull and look into weights."""
    if context.invoked_subcommand is None:
        list_models(as_json)
    elif as_json:
        fail(ConfigError(f"--json before {context.invoked_subcommand}: write it after."))


@app.command("list")
def list_models(as_json: _AsJson = False) -> None:
    """List the models: what they are, their licence, and whether all that they need is here."""
    from speakerdiar.models import MODELS

    try:
        rows = [_row(name, info) for name, info in MODELS.items()]
    except SpeakerdiarError as error:
        fail(error)
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for column in ("name", "here", "needs", "licence", "about"):
        table.add_column(column, overflow="fold")
    for row in rows:
        here = "yes" if row["here"] else "no"
        table.add_row(row["name"], here, escape(row["needs"] or "-"), escape(row["licence"]), escape(row["about"]))
    Console().print(table)


@app.command("pull")
def pull_model(
    name: Annotated[str, typer.Argument(help="A model of the list, or any repository on the Hub as owner/name.")],
    token: Annotated[
        str | None, typer.Option(help="Token for gated repositories; better set HF_TOKEN, which others can't see.")
    ] = None,
    revision: _Revision = None,
    update: Annotated[bool, typer.Option("--update", help="Move the pin to where the branch stands now.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Fetch again what is here already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Fetch weights from the Hub, check them, and pin the commit that every later load takes.

    Of a pipeline, the repositories that it takes its parts from are fetched too.
    """
    from speakerdiar.checkpoints import hub
    from speakerdiar.checkpoints.pyannote_pipeline import repositories

    try:
        repo, asked, licence = _repository(name, revision)
        found = hub.pull(repo, token=token, licence=licence, force=force, update=update, **asked)
        parts = [
            hub.pull(part.name, revision=part.revision, token=token, force=force).repo
            for part in repositories(found.folder)
        ]
    except SpeakerdiarError as error:
        fail(error)
    _print({**_facts(found, licence), **({"parts": parts} if parts else {})}, as_json)


@app.command("info")
def model_info(
    name: Annotated[
        str, typer.Argument(help="A file of weights, a folder of a model or pipeline, or a model that was pulled.")
    ],
    revision: _Revision = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Say what weights are: model, size, speakers, latencies, licence, SHA-256, and whether they would load.

    Files that were pulled are hashed again: one that has changed since is reported and removed.
    """
    from pathlib import Path

    from speakerdiar.checkpoints import hub
    from speakerdiar.cli.weights_info import describe

    try:
        if Path(name).exists():
            facts = describe(Path(name))
        else:
            repo, asked, licence = _repository(name, revision)
            asked.pop("sha256", None)  # what was pulled is hashed against its pin
            found = hub.cached(repo, **asked)
            if found is None:
                raise UnknownModelError(f"{repo} isn't on this machine: run `speakerdiar models pull {name}` first.")
            found.verify()
            facts = {**describe(found.folder, found.files), **_facts(found, licence)}
    except SpeakerdiarError as error:
        fail(error)
    _print(facts, as_json)


def fail(error: object) -> NoReturn:
    """Report a problem that ends the command."""
    from speakerdiar.cli.progress import fail as fail_with

    fail_with(error)


def _row(name: str, info: ModelInfo) -> dict[str, Any]:
    pulled = not info.hub or _is_pulled(info)
    needs = [info.needs] if info.needs else []
    return {
        "name": name,
        "here": info.is_here() and pulled,
        "needs": "; ".join(needs if pulled else [*needs, f"speakerdiar models pull {name}"]),
        "licence": info.licence,
        "about": info.about,
        "paper": info.paper,
        "hub": info.hub,
    }


def _is_pulled(info: ModelInfo) -> bool:
    from speakerdiar.checkpoints import hub
    from speakerdiar.checkpoints.pyannote_pipeline import repositories

    try:
        found = hub.cached(info.hub, revision=info.revision or None, files=info.files)
        return found is not None and all(hub.cached(p.name, revision=p.revision) for p in repositories(found.folder))
    except MissingExtraError:
        return False


def _repository(name: str, revision: str | None) -> tuple[str, dict[str, Any], str]:
    """Return a model's repository, what of it is asked for, and its licence where the table has one."""
    from speakerdiar.checkpoints import hub
    from speakerdiar.models import MODELS

    info = MODELS.get(name) or next((info for info in MODELS.values() if info.hub and info.hub == name), None)
    if info is None and not hub.is_repository(name):
        with_hub = [known for known, info in MODELS.items() if info.hub]
        raise UnknownModelError(
            f"There is no model {name!r}.{closest(name, MODELS)} Give a file or folder that exists, owner/name of a "
            f"repository on the Hub{', or one of ' if with_hub else ''}{', '.join(with_hub)}."
        )
    if info is None:
        return name, {"revision": revision}, ""
    if not info.hub:
        raise ConfigError(f"{name} has no repository on the Hub: its weights come with `pip install {info.needs}`.")
    return info.hub, info.on_hub(revision), info.licence


def _facts(found: Snapshot, licence: str) -> dict[str, Any]:
    return {
        "repository": found.repo,
        "commit": found.commit,
        "folder": str(found.folder),
        "licence": licence or found.licence,
        "sha256": {name: pin.sha256 for name, pin in found.files.items()},
    }


def _print(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    for name, value in facts.items():
        for line in _lines(value):
            typer.echo(f"{name + ':':14} {line}")


def _lines(value: Any) -> list[str]:
    """Return a value as a person reads it, on one line or, for hashes of files, several."""
    if isinstance(value, dict):
        return [f"{each}  {part}" for part, each in value.items()]
    if isinstance(value, list):
        return [", ".join(value) or "-"]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    return [f"{value:,}" if isinstance(value, int) and value > 100_000 else str(value or "-")]
