"""Graphics cards of one box: a job on all of them is that of one of them."""

from pathlib import Path

import pytest
import torch

from textovsr.core.cluster.config import ClusterConfig
from textovsr.core.cluster.engine import restore_on_cluster
from textovsr.core.cluster.recipe import RecurrentRecipe
from textovsr.core.config import EncodeConfig, RecurrentConfig
from textovsr.core.job import Job, Source
from textovsr.core.pipeline import Order, restore_video
from textovsr.tests.cluster.test_engine import unlike
from textovsr.tests.helpers.networks import save_tiny


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_all_cards_of_a_box_make_what_one_makes(source: Path, tmp_path: Path) -> None:
    """With whole shots as leads, but for last bits, of which a sample's step becomes up to 3 in RGB."""
    pytest.importorskip("ray")
    recipe = RecurrentRecipe(save_tiny(tmp_path / "tiny.safetensors"), RecurrentConfig(window=4, look_ahead=2))
    job = Job(encode=EncodeConfig(codec="ffv1"), segment=8)
    one, out = tmp_path / "one.mkv", tmp_path / "out.mkv"
    restore_video(Source(source), recipe.make(recipe.files, torch.device("cuda")), one, job, lambda _: None)
    order = Order(Source(source), out, job)
    restore_on_cluster(order, recipe, ClusterConfig(device="cuda", lead=-1, piece=16), lambda _: None)
    assert unlike(out, one) <= 3
