"""The error of columns that a caller passes in."""


class ColumnError(ValueError):
    """A column has the wrong shape, type, length or values. The message names the column."""
