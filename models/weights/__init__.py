"""The shipped weights (safetensors)."""
