"""One process of a search on several machines, for tests.

    python -m tests.search.search_member FOLDER TRIALS EPOCHS

searches digits in a small space and prints a line of JSON for each event: its
kind, and the trial. Its role comes from the environment.
"""

import json
import sys

from keras_lbreg.search import Search, run_search


def make_search(folder, trials, epochs):
    return Search(
        "digits",
        batch_sizes=(128,),
        techniques=("ghost_batch_norm", "lr_scaling"),
        trials=trials,
        epochs=epochs,
        confirm_seeds=0,
        out_dir=folder,
    )


def show(event):
    trial = getattr(event, "trial", None)
    line = [type(event).__name__, getattr(trial, "id", trial)]
    print(json.dumps(line), flush=True)


def main(folder, trials, epochs):
    search = make_search(folder, int(trials), int(epochs))
    run_search(search, show)


if __name__ == "__main__":
    main(*sys.argv[1:])
