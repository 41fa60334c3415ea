"""Warnings of this package."""


class NoEffectWarning(UserWarning):
    """Something was asked for that changes nothing here.

    Model surgery that matched no layer, a mix over one replica: the program
    goes on, but what the caller wanted does not happen.
    """
