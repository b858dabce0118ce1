"""The `speakerdiar` command, also as `python -m speakerdiar`."""

from __future__ import annotations


def main() -> None:
    """Run the command line. Its own imports wait until here, so that importing this file costs nothing."""
    from speakerdiar.cli.main import app

    app()


if __name__ == "__main__":
    main()
