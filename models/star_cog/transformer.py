"""STAR's transformer: diffusers' CogVideoX, with a local gate before the attention of every layer.

Importing this imports diffusers, which takes seconds: do it where the network is made.
"""

from typing import Any

import torch
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXBlock, CogVideoXTransformer3DModel
from torch import Tensor, nn

from .config import HEAD, LATENT_CHANNELS, PATCH, TransformerConfig

_AT_ONCE = 4096
"""Tokens that go through the wide layer of a block together."""

_EPSILON = 1e-6
"""Of every norm, as published; diffusers' own networks have 1e-5 in some."""

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines of the image tokens' places, (T*h*w,64) each."""

Grid = tuple[int, int, int]
"""Latent frames, rows and columns of tokens."""


class SpatialGate(nn.Module):
    """x * sigmoid(conv([max x, mean x])), over each latent frame (section 3.2: LIEM)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N,h,w,C) -> (N,h,w,C)."""
        seen = torch.stack([x.amax(dim=-1), x.mean(dim=-1)], dim=1)
        return x * torch.sigmoid(self.conv1(seen))[:, 0, ..., None]


class TemporalGate(nn.Module):
    """x * sigmoid(w [max x, mean x]), the same for each token."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Linear(2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(...,C) -> (...,C)."""
        return x * torch.sigmoid(self.conv1(torch.stack([x.amax(dim=-1), x.mean(dim=-1)], dim=-1)))


class LocalBlock(CogVideoXBlock):
    """A block of CogVideoX whose attention sees gated image tokens; what is added to them is not gated."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.spa_local = SpatialGate()
        self.temp_local = TemporalGate()

    def forward(  # type: ignore[override]  # called by our transformer alone
        self, image: Tensor, text: Tensor, embedding: Tensor, rotation: Rotation, grid: Grid
    ) -> tuple[Tensor, Tensor]:
        """One layer.

        Args:
            image: (B,T*h*w,C) tokens.
            text: (B,K,C) tokens.
            embedding: (B,E) of the time.
            rotation: of the image tokens.
            grid: T, h and w.

        Returns:
            Both kinds of tokens, as they came.
        """
        normed, normed_text, gate, text_gate = self.norm1(image, text, embedding)
        normed = self._gated(normed, grid)
        attended, attended_text = self.attn1(
            hidden_states=normed, encoder_hidden_states=normed_text, image_rotary_emb=rotation
        )
        image, text = image + gate * attended, text + text_gate * attended_text
        del normed, normed_text, attended, attended_text
        normed, normed_text, gate, text_gate = self.norm2(image, text, embedding)
        image = image + gate * torch.cat([self.ff(part) for part in normed.split(_AT_ONCE, dim=1)], dim=1)
        return image, text + text_gate * self.ff(normed_text)

    def _gated(self, x: Tensor, grid: Grid) -> Tensor:
        frames = x.reshape(-1, *grid[1:], x.shape[-1])  # (B,T*h*w,C) -> (B*T,h,w,C)
        return self.temp_local(self.spa_local(frames)).reshape(x.shape)


class StarCogTransformer(CogVideoXTransformer3DModel):
    """Velocity of noisy latents beside those of the low resolution, 32 channels in, 16 out."""

    def __init__(self, config: TransformerConfig | None = None) -> None:
        sizes = config or TransformerConfig()
        super().__init__(
            num_attention_heads=sizes.heads,
            attention_head_dim=HEAD,
            in_channels=2 * LATENT_CHANNELS,
            out_channels=LATENT_CHANNELS,
            time_embed_dim=sizes.embedding,
            text_embed_dim=sizes.text,
            num_layers=0,
            patch_size=PATCH,
            norm_eps=_EPSILON,
            use_rotary_positional_embeddings=True,
        )
        block = {"dim": HEAD * sizes.heads, "num_attention_heads": sizes.heads, "attention_head_dim": HEAD}
        self.transformer_blocks = nn.ModuleList(
            LocalBlock(**block, time_embed_dim=sizes.embedding, attention_bias=True, norm_eps=_EPSILON)
            for _ in range(sizes.layers)
        )

    def to(self, *given: Any, **named: Any) -> Any:  # type: ignore[override]
        """``torch.nn.Module.to``: diffusers' own warns at every change of the dtype."""
        return nn.Module.to(self, *given, **named)

    def forward(self, x: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        """Predict the velocity.

        Args:
            x: (B,T,32,h,w), h and w even: noisy latents, then those of the low resolution.
            timestep: (B,), 0 to 999.
            text: (B,K,D) tokens.

        Returns:
            (B,T,16,h,w).
        """
        batch, frames, _, height, width = x.shape
        grid = frames, height // PATCH, width // PATCH
        embedding = self.time_embedding(self.time_proj(timestep).to(x.dtype))
        tokens = self.patch_embed(text, x)
        words, image = tokens[:, : text.shape[1]], tokens[:, text.shape[1] :]
        turns = rotation(grid, x.device)
        for block in self.transformer_blocks:
            image, words = block(image, words, embedding, turns, grid)
        out = self.proj_out(self.norm_out(self.norm_final(image), temb=embedding))
        out = out.reshape(batch, *grid, LATENT_CHANNELS, PATCH, PATCH)
        # (B,T,h,w,C,p,p) -> (B,T,C,h,p,w,p) -> (B,T,C,h*p,w*p)
        return out.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4)


def rotation(grid: Grid, device: torch.device) -> Rotation:
    """Cosines and sines of places that are counted from the first frame, row and column, as trained."""
    cosines, sines = get_3d_rotary_pos_embed(
        HEAD, None, grid[1:], grid[0], grid_type="slice", max_size=grid[1:], device=device
    )
    return cosines, sines
