"""Every fuzz target by its name."""

from collections.abc import Callable

from . import checkpoints, diffusion, media, texts

TARGETS: dict[str, Callable[[bytes], None]] = {
    name.removeprefix("fuzz_"): value
    for module in (media, texts, checkpoints, diffusion)
    for name, value in vars(module).items()
    if name.startswith("fuzz_")
}
"""A target takes any bytes, and raises nothing unless something is wrong with us."""
