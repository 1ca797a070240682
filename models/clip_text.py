"""The text tower of CLIP, at any size, under the checkpoint's own key names."""

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class ClipTextConfig:
    """Size of the tower; the defaults are CLIP ViT-L/14@336 (Radford et al., 2021)."""

    vocabulary: int = 49408
    width: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072
    tokens: int = 77


class ClipText(nn.Module):
    """Token ids in, one feature vector a token out (``last_hidden_state``)."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        from transformers import CLIPTextConfig, CLIPTextModel

        model = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=config.vocabulary,
                hidden_size=config.width,
                intermediate_size=config.hidden,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                max_position_embeddings=config.tokens,
                projection_dim=config.width,
                bos_token_id=config.vocabulary - 2,
                eos_token_id=config.vocabulary - 1,
                hidden_act="quick_gelu",
            )
        )
        # transformers 4 wraps the tower once more; transformers 5 is the tower itself.
        self.text_model = getattr(model, "text_model", model)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Encode tokens under the causal and the padding mask.

        Args:
            input_ids: (N,77) integers.
            attention_mask: (N,77), 1 for a real token, 0 for padding.

        Returns:
            (N,77,width).
        """
        features: Tensor = self.text_model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return features
