"""Networks, their checkpoints and how to recognise them."""
