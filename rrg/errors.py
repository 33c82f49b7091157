"""The one error that people are meant to read."""


class InputError(ValueError):
    """Input that cannot be used. The message names the cause and the remedy and is shown to the user as it is."""
