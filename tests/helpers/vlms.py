"""Tiny vision-language models on the disk, of transformers' own classes, with random weights drawn from a seed.

They write nonsense of ``WORDS``; what they write depends on the pictures.
"""

import json
from pathlib import Path
from typing import Any

import torch

WORDS = (
    "a", "the", "dark", "cat", "dog", "house", "tree", "red", "blue", "green", "light", "on", "under", "with",
    "of", "and", "USER", "ASSISTANT", ":",
)  # fmt: skip

_SIDE = 28
_EYE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": _SIDE,
    "patch_size": 14,
}
_PINPOINTS = [[28, 56], [56, 28], [56, 56]]
_IMAGE = 4
_WORD = _IMAGE + 1
_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }} {% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def save_vlm(folder: Path, kind: str = "llava") -> Path:
    """Write a model of a kind, ``llava``, ``llava_next`` or ``llava_onevision``, and return its folder."""
    torch.manual_seed(0)
    network, processor = {"llava": _llava, "llava_next": _next, "llava_onevision": _onevision}[kind]()
    for parameter in network.parameters():  # as large as trained ones, so that pictures make a difference
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=1.5 / parameter[0].numel() ** 0.5)
    words = network.get_output_embeddings().weight.data  # and only words are written, no special tokens
    words[:_WORD] = words[_WORD + len(WORDS) :] = 0
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def make_old(folder: Path) -> Path:
    """Leave out of a LLaVA what the first published folders did not have."""
    path = folder / "processor_config.json"
    processor = json.loads(path.read_text("utf-8"))
    picture = processor.get("image_processor")
    path.unlink()
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    (folder / "chat_template.json").unlink(missing_ok=True)
    if picture is not None:  # newer versions of transformers write one file
        old = {**picture, "image_processor_type": "CLIPImageProcessor", "processor_class": "LlavaProcessor"}
        (folder / "preprocessor_config.json").write_text(json.dumps(old), "utf-8")
    return folder


def _llava() -> tuple[Any, Any]:
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    eye = CLIPVisionConfig(**_EYE, projection_dim=16)
    config = LlavaConfig(vision_config=eye, text_config=LlamaConfig(**_mouth()), image_token_index=_IMAGE)
    pictures = CLIPImageProcessor(size={"shortest_edge": _SIDE}, crop_size={"height": _SIDE, "width": _SIDE})
    processor = LlavaProcessor(pictures, _tokenizer(), **_places())
    return LlavaForConditionalGeneration(config), processor


def _next() -> tuple[Any, Any]:
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessor,
        LlavaNextProcessor,
    )

    pictures = LlavaNextImageProcessor(
        size={"shortest_edge": _SIDE},
        crop_size={"height": _SIDE, "width": _SIDE},
        image_grid_pinpoints=_PINPOINTS,
    )
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**_EYE, projection_dim=16),
        text_config=LlamaConfig(**_mouth()),
        image_token_index=_IMAGE,
        image_grid_pinpoints=_PINPOINTS,
    )
    return LlavaNextForConditionalGeneration(config), LlavaNextProcessor(pictures, _tokenizer(), **_places())


def _onevision() -> tuple[Any, Any]:
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
        Qwen2Config,
        SiglipVisionConfig,
    )

    size = {"height": _SIDE, "width": _SIDE}
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=_PINPOINTS),
        _tokenizer("<video>"),
        LlavaOnevisionVideoProcessor(size=size),
        num_image_tokens=(_SIDE // 14) ** 2,
        vision_feature_select_strategy="full",
        chat_template=_TEMPLATE,
    )
    mouth = {**_mouth(), "vocab_size": _mouth()["vocab_size"] + 1, "num_key_value_heads": 2}
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**_EYE, vision_use_head=False),
        text_config=Qwen2Config(**mouth),
        image_token_index=_IMAGE,
        video_token_index=mouth["vocab_size"] - 1,
        image_grid_pinpoints=_PINPOINTS,
        vision_aspect_ratio="anyres_max_9",
    )
    return LlavaOnevisionForConditionalGeneration(config), processor


def _mouth() -> dict[str, int]:
    return {
        "vocab_size": _WORD + len(WORDS),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 1024,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 3,
    }


def _places() -> dict[str, Any]:
    return {
        "patch_size": 14,
        "vision_feature_select_strategy": "default",
        "num_additional_image_tokens": 1,
        "chat_template": _TEMPLATE,
    }


def _tokenizer(*further: str) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "<s>", "</s>", "<pad>", "<image>", *WORDS, *further]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **special,
        additional_special_tokens=["<image>", *further],
        model_input_names=["input_ids", "attention_mask"],
    )
