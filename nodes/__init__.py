"""ComfyUI nodes: thin adapters over ``core``."""
