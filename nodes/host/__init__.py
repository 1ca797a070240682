"""Everything the nodes ask of ComfyUI. The only folder that imports ``comfy``, ``folder_paths`` and ``server``."""
