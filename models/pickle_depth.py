"""How deep the tuples of a pickle lie in each other.

A tuple that is a key of a dict, or is in a set, is hashed. That goes down to the innermost one on the processor's own
stack, which nothing guards: a million of them in each other, in as many bytes, end the whole process.
"""

from pickletools import OpcodeInfo, markobject, opcodes

DEEPEST = 200
"""Tuples in each other; those of checkpoints are not five deep."""

_GET = frozenset({"GET", "BINGET", "LONG_BINGET"})
_PUT = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_TUPLES = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"})
_PLAIN = frozenset(one.name for one in opcodes if not one.stack_before and markobject not in one.stack_after)
_NOTHING = -1
"""How deep a mark is, which no tuple can hold."""


class Nesting:
    """Goes through the operations of one pickle, and knows of what is on the unpickler's stack how deep it is.

    Whatever is made of something deep is taken to be as deep: too deep rather than not deep enough.
    """

    def __init__(self) -> None:
        self._stack: list[int] = []
        self._memo: dict[object, int] = {}

    def see(self, opcode: OpcodeInfo, argument: object) -> int:
        """How deep that is which the next operation makes.

        Raises:
            ValueError: it takes more than there is.
        """
        name, depth = opcode.name, 0
        if name in _PUT:
            self._memo[argument] = self._stack[-1] if self._stack else 0
        elif name in _PLAIN:
            depth = self._memo.get(argument, 0) if name in _GET else 0
            self._stack += [depth] * len(opcode.stack_after)
        else:
            depth = max(self._take(opcode), default=0) + (name in _TUPLES)
            if name == "MEMOIZE":
                self._memo[len(self._memo)] = depth
            self._stack += [_NOTHING if made is markobject else depth for made in opcode.stack_after]
        return depth

    def _take(self, opcode: OpcodeInfo) -> list[int]:
        """How deep everything is that an operation takes off the stack."""
        wanted = opcode.stack_before
        count, taken = len(wanted), [0]
        try:
            if markobject in wanted:
                count = wanted.index(markobject)
                while (one := self._stack.pop()) != _NOTHING:
                    taken.append(one)
            for _ in range(count):
                taken.append(self._stack.pop())
        except IndexError as error:
            raise ValueError(f"the pickle is damaged: {opcode.name} finds nothing to take") from error
        return taken
