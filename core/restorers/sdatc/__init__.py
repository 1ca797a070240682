"""SDATC as a restorer."""
