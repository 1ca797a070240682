"""Everything between a video file and a network; nothing here knows ComfyUI."""
