"""STAR's second network (ICCV 2025): CogVideoX-5B with local attention."""
