"""The exception for unusable input."""


class InputError(ValueError):
    """Input that cannot be used. The message names the cause and the remedy, and is shown to the user."""
