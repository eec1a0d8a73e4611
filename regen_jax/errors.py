"""The one exception that a command prints as a single line."""


class UserError(Exception):
    """Something the user can mend; the message is one line that says what, where, and what would be right."""
