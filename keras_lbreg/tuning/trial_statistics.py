"""How far the executions of a trial lie apart."""

import dataclasses
import statistics

from keras_tuner.engine.trial import TrialStatus

from keras_lbreg.tuning.recorded_executions import read_executions


@dataclasses.dataclass(frozen=True)
class TrialStatistics:
    """The objective over the executions of one trial.

    Args:
        trial_id: The trial's name.
        mean: Mean of `values`, by which KerasTuner compares trials.
        stddev: Their standard deviation (of a sample); NaN for one.
        values: The objective of each execution.
        seeds: Their seeds.

    Example:

    >>> best = trial_statistics(tuner)[0]
    >>> print(f"{best.mean:.4f} ± {best.stddev:.4f} (n={len(best.values)})")

    Reference: `trial_statistics`.
    """

    trial_id: str
    mean: float
    stddev: float
    values: tuple
    seeds: tuple


def trial_statistics(tuner):
    """Mean and spread of every completed trial, the best trial first.

    ```
    mean = (1/n) sum_k v_k,   stddev = sqrt(sum_k (v_k - mean)^2 / (n - 1))
    ```

    KerasTuner keeps the mean of a trial's executions alone. A
    `LargeBatchHyperModel` writes each of them into the trial's folder, so this
    works after a tuner has been reloaded too. A difference between two trials
    that is smaller than the spread of either says little; of many trials the
    best also looks better than it is.

    Args:
        tuner: A KerasTuner tuner of a `LargeBatchHyperModel`.

    Returns:
        List of `TrialStatistics`.

    Raises:
        ValueError: A trial was made by another hypermodel.

    Example:

    >>> for trial in keras_lbreg.tuning.trial_statistics(tuner):
    ...     print(trial.trial_id, trial.mean, trial.stddev)

    Reference: https://keras.io/api/keras_tuner/tuners, `executions_per_trial`.
    """
    oracle = tuner.oracle
    completed = [
        trial
        for trial in oracle.get_best_trials(len(oracle.trials))
        if trial.status == TrialStatus.COMPLETED
    ]
    found = []
    for trial in completed:
        executions = read_executions(tuner.get_trial_dir(trial.trial_id))
        values = tuple(
            float(oracle.objective.get_value(execution["metrics"]))
            for execution in executions
        )
        found.append(
            TrialStatistics(
                trial.trial_id,
                statistics.fmean(values),
                statistics.stdev(values) if len(values) > 1 else float("nan"),
                values,
                tuple(execution["seed"] for execution in executions),
            )
        )
    return found
