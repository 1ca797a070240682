"""What a TextOVSR checkpoint says about its network, and the sizes we ship."""

from dataclasses import dataclass, field

from torch import Tensor

from .clip_text import ClipTextConfig


@dataclass(frozen=True)
class TextOVSRConfig:
    """What a checkpoint's keys say about its network; the defaults are the published one.

    Attributes:
        channels: feature channels.
        blocks: residual blocks of each propagation branch.
        cleaning_blocks: residual blocks of the image cleaning.
        flow_levels: levels of SPyNet; 5 finds the flow at half the resolution.
        attention_window: side of the self-attention windows; 0 is global attention.
        text_hidden: width between the two layers of the text projection.
        negative: whether the training-only negative branch is there.
        text: size of the text encoder.
    """

    channels: int = 64
    blocks: int = 10
    cleaning_blocks: int = 20
    flow_levels: int = 6
    attention_window: int = 0
    text_hidden: int = 512
    negative: bool = True
    text: ClipTextConfig = field(default_factory=ClipTextConfig)


LITE = TextOVSRConfig(
    channels=32,
    blocks=10,
    cleaning_blocks=6,
    flow_levels=5,
    attention_window=8,
    text_hidden=64,
    negative=False,
    text=ClipTextConfig(width=64, layers=2, heads=1, hidden=256),
)
"""``textovsr-lite``: made to run on a CPU."""


_WIDEST_WINDOW = 256
"""Side of an attention window; frames are filled up to whole ones, and no tensor's size bears it out."""


def read_config(state_dict: dict[str, Tensor]) -> TextOVSRConfig:
    """Read the configuration off a bare state_dict (keys as in the class, no prefix).

    Raises:
        LookupError, ValueError: a tensor that tells a size is missing, or tells what cannot be.
    """

    def count(prefix: str) -> int:
        numbers = {key[len(prefix) :].split(".")[0] for key in state_dict if key.startswith(prefix)}
        return len(numbers)

    tower = "basicvsr.text_encoder.text_model."
    vocabulary, width = state_dict[f"{tower}embeddings.token_embedding.weight"].shape
    text = ClipTextConfig(
        vocabulary=vocabulary,
        width=width,
        layers=count(f"{tower}encoder.layers."),
        heads=max(1, width // 64),
        hidden=state_dict[f"{tower}encoder.layers.0.mlp.fc1.weight"].shape[0],
        tokens=state_dict[f"{tower}embeddings.position_embedding.weight"].shape[0],
    )
    stored = state_dict.get("basicvsr.backward_cross_attn.attention_window")
    window = 0 if stored is None else int(stored)
    if not 0 <= window <= _WIDEST_WINDOW:
        raise ValueError(f"an attention window of {window} pixels")
    return TextOVSRConfig(
        channels=state_dict["basicvsr.fusion.weight"].shape[0],
        blocks=count("basicvsr.forward_resblocks_layer10_po.main.2."),
        cleaning_blocks=count("image_cleaning.0.main.2."),
        flow_levels=count("basicvsr.spynet.basic_module."),
        attention_window=window,
        text_hidden=state_dict["basicvsr.text_proj.0.weight"].shape[0],
        negative="basicvsr.forward_resblocks_layer10.main.0.weight" in state_dict,
        text=text,
    )
