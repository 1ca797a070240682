"""What ComfyUI has loaded of ours, and nothing more: what it unloads is given back."""

import atexit
import ctypes
import sys
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

import comfy.model_management
import comfy.model_patcher
from comfy_execution.utils import get_executing_context

Item = TypeVar("Item")


class Held(Generic[Item]):
    """The networks that were used last, by what they were made of, each for as long as ComfyUI has it loaded.

    ComfyUI has an entry for every network that it has loaded, and lets go of the entry to make room, or when a user
    frees the memory. With the last entry of an item its place here goes too; whoever computes with it still holds it.

    Args:
        most: how many are held at once; room for another one is made before it is.
        stay: keep what ComfyUI unloads to make room for others; only a user frees it, while no node is at work.
    """

    def __init__(self, most: int, stay: bool = False) -> None:
        self._most, self._stay = most, stay
        self._items: OrderedDict[Hashable, Item] = OrderedDict()
        self._entries: dict[Hashable, list[weakref.ref[Any]]] = {}
        atexit.register(self.clear)  # while there still are the modules that ComfyUI needs to let go of a network

    def get(self, key: Hashable, make: Callable[[], Item]) -> Item:
        """The item of that key; made, if it is not held, and then held."""
        if key not in self._items:
            while len(self._items) >= self._most:
                self._entries.pop(self._items.popitem(last=False)[0], None)
            self._items[key] = make()
        self._items.move_to_end(key)
        return self._items[key]

    def follow(self, key: Hashable, item: Item, patchers: Sequence[comfy.model_patcher.ModelPatcher]) -> None:
        """Hold an item until ComfyUI lets go of all of these networks of it, which it has loaded just now."""
        loaded = comfy.model_management.current_loaded_models
        entries = [entry for entry in loaded if any(entry.model is patcher for patcher in patchers)]
        if entries:
            self._items[key] = item
            self._entries[key] = [weakref.ref(entry, lambda _: self._forget(key)) for entry in entries]

    def _forget(self, key: Hashable) -> None:
        if self._stay and get_executing_context() is not None:
            return
        entries = self._entries.get(key, [])
        if all(entry() is None for entry in entries):
            self._entries.pop(key, None)
            if self._items.pop(key, None) is not None:
                give_back()

    def clear(self) -> None:
        """Hold nothing."""
        self._items.clear()
        self._entries.clear()


def give_back() -> None:
    """Return freed memory to the system. glibc keeps what lies between pieces in use: of weights, most of it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def load(patchers: Sequence[comfy.model_patcher.ModelPatcher], memory: int = 0) -> None:
    """Have ComfyUI load networks whole, and make room for so many bytes of work beside them."""
    comfy.model_management.load_models_gpu(list(patchers), memory_required=memory, force_full_load=True)
