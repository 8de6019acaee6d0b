"""Typed values as text."""


def number_text(value: int | float) -> str:
    """Write a number as its shortest text, without a trailing `.0`.

    >>> [number_text(each) for each in (3.0, 0.1, 1e22, 12)]
    ['3', '0.1', '1e+22', '12']
    """
    return repr(value).removesuffix(".0")
