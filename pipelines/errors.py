"""The errors of the line, told apart by what to do about them."""


class MineralsError(Exception):
    """Anything the line refuses, with a message that needs no log to be understood."""

    exit_code = 1


class ContractError(MineralsError):
    """A YAML, a vocabulary or a setting is wrong: correct the file that the message names."""

    exit_code = 2


class SourceError(MineralsError):
    """A partner's source could not be had: try again, then phone the partner."""

    exit_code = 3


class RejectedError(MineralsError):
    """Data was judged and refused: trying again changes nothing until the data or the mapping does."""

    exit_code = 1
