"""Synthetic degradations: the operations, their random chain, and the text that describes them."""
