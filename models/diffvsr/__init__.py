"""DiffVSR's networks: a denoiser over eight frames at the low resolution, and a decoder that mixes frames."""
