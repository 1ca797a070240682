"""Reading, writing and describing video files (PyAV); the only package that imports ``av``."""
