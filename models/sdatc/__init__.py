"""SDATC's networks: compressed video, restored by a Stable Diffusion that is guided by what a small network cleaned."""
