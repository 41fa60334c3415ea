"""The program of one trial.

`python -m keras_lbreg.search.trials.run_trial FOLDER`
"""

import sys
import time

from keras_lbreg.experiments import run
from keras_lbreg.experiments.lock import lock
from keras_lbreg.search.check_search import trial_experiment
from keras_lbreg.search.search import Search
from keras_lbreg.search.trials.prepare_child import prepare_child
from keras_lbreg.search.trials.trial_folder import ARM, TrialFolder, trial_arm
from keras_lbreg.tuning.configuration import Configuration

# Seconds that the process of a killed search may take to end.
PATIENCE = 30.0


def main(path):
    spec = TrialFolder(path, executions=None).read_spec()
    search = Search.from_json(spec["search"])
    prepare_child(search)
    configuration = Configuration.from_json(spec["configuration"])
    experiment = trial_experiment(
        search,
        arms=(ARM,),
        extra_arms=(trial_arm(configuration),),
        batch_size=configuration.batch_size,
        seeds=search.executions,
        out_dir=str(path),
        until=spec["until"],
    )
    wait_for(path)
    for seed in experiment.seed_range:
        result = run(experiment, ARM, seed, continue_from=spec["continue_from"])
        if result.status == "failed":
            break


def wait_for(folder):
    """Wait until no other process writes to the folder."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with lock(folder):
                return
        except ValueError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    main(sys.argv[1])
