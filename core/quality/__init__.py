"""Measuring pictures: fidelity to a reference, and steadiness over time."""
