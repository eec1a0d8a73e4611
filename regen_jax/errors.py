"""The one exception that a command prints as a single line."""


class UserError(Exception):
    """Something the user can mend: one line that says what, where, what would be right."""
