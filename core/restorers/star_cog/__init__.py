"""STAR's CogVideoX version as a restorer (ICCV 2025)."""
