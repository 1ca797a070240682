"""Models that look at pictures and write about them: LLaVA and its like, run through transformers."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..device import free_memory, is_out_of_memory
from ..errors import OutOfMemoryError, SettingError

PROMPT = (
    "Describe this picture in one or two sentences of at most 40 words: the main subjects and what they do, their "
    "materials and textures, the surroundings, the light and the colours. Say only what can be seen, and nothing about "
    "the quality of the picture."
)
"""Fine-grained, which TextOVSR gains more from than from a short one; and no longer than CLIP reads (75 tokens)."""

Check = Callable[[], None]
"""Called before every batch and after every token; may raise to cancel."""

_ENDS = ".!?\u3002"

_PLAIN = {
    "mistral": "[INST] {images}{prompt} [/INST]",
    "qwen2": "<|im_start|>user {images}{prompt}<|im_end|><|im_start|>assistant\n",
    "llama": "USER: {images}{prompt} ASSISTANT:",
}
"""How LLaVA's published models are asked, by the kind of their language model: early folders have no template."""


@dataclass(frozen=True)
class AskConfig:
    """How a model is asked.

    Attributes:
        prompt: the question.
        max_tokens: the longest answer; an answer that is cut there ends with its last whole sentence.
        temperature: 0 always takes the likeliest word; above it words are drawn, more freely the higher it is.
        seed: of the draws.

    Raises:
        SettingError: the prompt is empty, or a number is out of its range.
    """

    prompt: str = PROMPT
    max_tokens: int = 128
    temperature: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise SettingError("Expected a prompt, got an empty one; ask the model what it shall describe.")
        if self.max_tokens < 1:
            raise SettingError(f"Expected at least 1 token, got {self.max_tokens}; choose 1 or more.")
        if not self.temperature >= 0:
            raise SettingError(f"Expected a temperature of at least 0, got {self.temperature:g}; 0 draws nothing.")


class VisionLanguageModel(nn.Module):
    """A network of transformers with its processor.

    Args:
        network: generates text, in eval mode.
        processor: makes its inputs; pads on the left.
    """

    def __init__(self, network: Any, processor: Any) -> None:
        super().__init__()
        self.network = network
        self.processor = processor

    @torch.inference_mode()
    def caption(self, scenes: Sequence[Sequence[Tensor]], ask: AskConfig, check: Check = lambda: None) -> list[str]:
        """Write a text for each scene.

        When the memory is short for all scenes at once, they are halved.

        Args:
            scenes: the pictures of each, (3,h,w) uint8 RGB, at least one.
            ask: the question.
            check: called after every token; may raise to cancel.

        Raises:
            OutOfMemoryError: not even one scene fits.
        """
        check()
        try:
            return self._answers(scenes, ask, check)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        free_memory()
        if len(scenes) == 1:
            raise OutOfMemoryError(
                "Expected memory for the pictures of one scene, found too little; choose fewer frames per scene, 4-bit "
                "precision or a smaller model."
            )
        middle = len(scenes) // 2
        return self.caption(scenes[:middle], ask, check) + self.caption(scenes[middle:], ask, check)

    def _answers(self, scenes: Sequence[Sequence[Tensor]], ask: AskConfig, check: Check) -> list[str]:
        from transformers import StoppingCriteriaList

        inputs = self._inputs(scenes, ask.prompt)
        with _seeded(ask.seed, self.network.device):
            tokens = self.network.generate(
                **inputs,
                **_sampling(ask),
                max_new_tokens=ask.max_tokens,
                stopping_criteria=StoppingCriteriaList([_checking(check)]),
            )
        asked = inputs["input_ids"]
        length = asked.shape[1]
        if tokens.shape[1] > length and torch.equal(tokens[:, :length], asked):  # some models do not repeat the prompt
            tokens = tokens[:, length:]
        return [self._text(row, ask.max_tokens) for row in tokens]

    def _inputs(self, scenes: Sequence[Sequence[Tensor]], prompt: str) -> Any:
        from PIL import Image

        pictures = [[Image.fromarray(image.permute(1, 2, 0).numpy()) for image in scene] for scene in scenes]
        flat = [scene[0] for scene in pictures] if all(len(scene) == 1 for scene in pictures) else None
        inputs = self.processor(
            images=flat or pictures,
            text=[self._prompt(prompt, len(scene)) for scene in scenes],
            padding=True,
            return_tensors="pt",
        )
        return inputs.to(self.network.device, dtype=self.network.dtype)  # numbers of a kind stay: only floats change

    def _prompt(self, prompt: str, images: int) -> str:
        """The prompt as the model was trained to be asked."""
        if getattr(self.processor, "chat_template", None):
            content = [*({"type": "image"} for _ in range(images)), {"type": "text", "text": prompt}]
            return self.processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
            )
        config = self.network.config
        if not config.model_type.startswith("llava"):
            return prompt
        plain = _PLAIN.get(config.get_text_config().model_type, _PLAIN["llama"])
        return plain.format(images="<image>\n" * images, prompt=prompt)

    def _text(self, tokens: Tensor, limit: int) -> str:
        words = " ".join(self.processor.decode(tokens, skip_special_tokens=True).split())
        ends = torch.tensor(self._ends(), device=tokens.device)
        cut = len(tokens) >= limit and not torch.isin(tokens, ends).any()
        return whole_sentences(words) if cut else words

    def _ends(self) -> list[int]:
        ends = self.network.generation_config.eos_token_id
        return ends if isinstance(ends, list) else [] if ends is None else [ends]


def whole_sentences(text: str) -> str:
    """A text without its unfinished last sentence; all of it if it has no finished one."""
    ends = [i + 1 for i, letter in enumerate(text) if letter in _ENDS and text[i + 1 : i + 2] in ("", " ")]
    return text[: ends[-1]] if ends else text


def _sampling(ask: AskConfig) -> dict[str, Any]:
    return {"do_sample": True, "temperature": ask.temperature} if ask.temperature > 0 else {"do_sample": False}


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Everybody else's random numbers stay as they are."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _checking(check: Check) -> Any:
    from transformers import StoppingCriteria

    class Checking(StoppingCriteria):
        def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
            check()
            return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

    return Checking()
