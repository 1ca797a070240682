"""Diffusion over a clip: schedules, samplers, tiles, and guidance by the clip's motion."""
