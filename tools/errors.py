"""The one exception of the development tools."""


class DevError(Exception):
    """Something a person has to put right; the message says what."""
