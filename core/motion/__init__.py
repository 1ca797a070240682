"""Where the pixels of a frame are in the next one: flow, occlusion, and both for any part of a video."""
