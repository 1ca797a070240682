"""MGLD-VSR (ECCV 2024): Stable Diffusion 2.1 with temporal layers, steered by the structure of the low resolution."""
