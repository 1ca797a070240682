"""STAR's network: I2VGen-XL's denoiser over a clip, led by a control network that sees the low-resolution clip."""
