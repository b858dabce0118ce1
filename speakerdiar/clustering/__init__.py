"""Clustering: embeddings in, one speaker label each out.

Every clusterer is a `ClustererMixin`: `fit_predict(embeddings, count)` gives labels 0..K-1 in order of first
appearance and meets the number of speakers that is asked for. `CLUSTERERS` names them; `make_clusterer` makes one by
name.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from speakerdiar.clustering.base import ClustererMixin
from speakerdiar.config import checked_options
from speakerdiar.errors import ConfigError, closest

CLUSTERERS: Mapping[str, str] = {
    "ahc": "speakerdiar.clustering.ahc:AhcClusterer",
    "spectral": "speakerdiar.clustering.spectral:SpectralClusterer",
    "nmesc": "speakerdiar.clustering.nmesc:NmescClusterer",
    "vbx": "speakerdiar.clustering.vbx:VbxClusterer",
}
"""Clusterers by name, as `module:Class`."""


def make_clusterer(clusterer: str | ClustererMixin = "ahc", **options: Any) -> ClustererMixin:
    """Return a clusterer by its name in `CLUSTERERS`, with options; an instance comes back as it is.

    Raises:
        ConfigError: no clusterer of that name, options next to an instance, or an option's value that can't be used.
        UnknownOptionError: an option that the clusterer doesn't have.
    """
    if isinstance(clusterer, ClustererMixin):
        if options:
            raise ConfigError(
                f"{type(clusterer).__name__} is made already: give {', '.join(sorted(options))} where you make it."
            )
        return clusterer
    if not isinstance(clusterer, str) or clusterer not in CLUSTERERS:
        hint = closest(clusterer, CLUSTERERS) if isinstance(clusterer, str) else ""
        raise ConfigError(
            f"clusterer {clusterer!r}: there is none of that name.{hint} Clusterers: {', '.join(CLUSTERERS)}; "
            "or give a ClustererMixin."
        )
    module, name = CLUSTERERS[clusterer].split(":")
    cls = getattr(importlib.import_module(module), name)
    made: ClustererMixin = cls(**checked_options(cls, options))
    return made


__all__ = ["CLUSTERERS", "ClustererMixin", "make_clusterer"]
