"""Fixtures of these tests: a folder with two pictures, a caption and a film that has a cut."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from textovsr.tests.helpers.threads import one_thread as one_thread
from textovsr.tests.helpers.training import write_film


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures, one in a folder of its own and with a caption; a film; and what is to be passed over."""
    made = tmp_path_factory.mktemp("material")
    rng = np.random.default_rng(0)
    (made / "more").mkdir()
    (made / ".hidden").mkdir()
    for name, size in (("a.png", (90, 130)), ("more/b.jpg", (200, 120)), (".hidden/c.png", (64, 64))):
        coarse = Image.fromarray(rng.integers(0, 255, (size[0] // 6, size[1] // 6, 3), dtype=np.uint8))
        coarse.resize(size[::-1], Image.Resampling.BICUBIC).save(made / name)
    (made / "more" / "b.txt").write_text("a cat", encoding="utf-8")
    write_film(made / "film.mp4")
    (made / "notes.md").write_text("not a picture")
    return made
