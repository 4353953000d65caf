"""The one kind of failure that a user can do something about."""


class BuildError(Exception):
    """Says what was wrong, where, and what to do next. `usage` is set where the command line is at fault."""

    def __init__(self, message, usage=False):
        super().__init__(message)
        self.usage = usage
