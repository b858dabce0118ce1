"""Whole diarizers: recordings in, turns out."""
