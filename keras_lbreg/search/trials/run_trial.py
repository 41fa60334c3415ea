"""The program of one trial.

`python -m keras_lbreg.search.trials.run_trial FOLDER`
"""

import sys
import time

from keras_lbreg.experiments import run
from keras_lbreg.experiments.lock import FolderInUseError
from keras_lbreg.search.check_search import trial_experiment
from keras_lbreg.search.search import Search
from keras_lbreg.search.trials.prepare_child import prepare_child
from keras_lbreg.search.trials.trial_folder import ARM, TrialFolder, trial_arm
from keras_lbreg.tuning.configuration import Configuration

# Seconds between two looks at a lock that another process holds.
PAUSE = 0.2


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
    for seed in experiment.seed_range:
        result = run_when_free(experiment, seed, spec["continue_from"])
        if result.status == "failed":
            break


def run_when_free(experiment, seed, continue_from):
    """`run`, as soon as no other process trains in the folder.

    It may be the process of a search that was killed, which is about to end,
    or that of a worker that the chief had no news of: it holds the lock as
    long as it trains, and what it has finished is not trained again.
    """
    told = False
    while True:
        try:
            return run(experiment, ARM, seed, continue_from=continue_from)
        except FolderInUseError as error:
            if not told:
                print(f"Waiting: {error}", flush=True)
            told = True
            time.sleep(PAUSE)


if __name__ == "__main__":
    main(sys.argv[1])
