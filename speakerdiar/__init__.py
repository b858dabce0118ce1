"""Who spoke when."""

__version__ = "0.1.0"
