"""MGLD-VSR's encoder is Stable Diffusion's: the same as ComfyUI's own."""

from types import ModuleType

import torch

from textovsr.models.mgld.config import VAEConfig
from textovsr.models.mgld.video_vae import VideoVAE
from textovsr.tests.helpers.mgld import by_rule


@torch.inference_mode()
def test_the_encoder_equals_comfyuis(host: ModuleType) -> None:
    from comfy.ldm.modules.diffusionmodules.model import Encoder

    ours = by_rule(VideoVAE(VAEConfig(channels=32)))
    assert isinstance(ours, VideoVAE)
    sizes = {"ch": 32, "out_ch": 3, "ch_mult": (1, 2, 4, 4), "num_res_blocks": 2, "attn_resolutions": []}
    theirs = Encoder(**sizes, in_channels=3, resolution=64, z_channels=4, double_z=True)
    theirs.load_state_dict(ours.encoder.state_dict())
    frames = 2 * torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(0)) - 1
    mean, log_variance, features = ours.encode(frames)
    moments = torch.cat([mean, log_variance], dim=1)
    torch.testing.assert_close(moments, ours.quant_conv(theirs(frames)), rtol=0, atol=1e-5)
    assert [feature.shape for feature in features] == [(2, 64, 32, 24), (2, 128, 16, 12)]
