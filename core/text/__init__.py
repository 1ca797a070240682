"""Captions and degradation texts."""
