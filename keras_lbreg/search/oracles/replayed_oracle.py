"""An oracle that can be told what it proposed before."""

from keras_lbreg.search.oracles.oracle_in_memory import OracleInMemory


class ReplayedOracle(OracleInMemory):
    """Mix-in of an oracle that proposes what a ledger has recorded.

    While `recorded` holds the values of a trial, they are what it proposes.
    It is asked all the same, so that its state goes on, unless
    `must_be_asked` is false.

    Example:

    >>> oracle.recorded = {"batch_size": 512}
    >>> oracle.create_trial("worker").hyperparameters.values
    {'batch_size': 512}

    Reference: `keras_tuner.Oracle.populate_space`.
    """

    recorded = None
    must_be_asked = True

    def populate_space(self, trial_id):
        if self.recorded is None:
            return super().populate_space(trial_id)
        if self.must_be_asked:
            super().populate_space(trial_id)
        return {"status": "RUNNING", "values": dict(self.recorded)}
