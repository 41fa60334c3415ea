"""Diagnostics of saved models on a workload: table, plots, report, JSON."""

MEASURES = ("sharpness", "hessian", "noise")


def analyze(
    paths,
    workload,
    what=MEASURES,
    samples=10_000,
    split="train",
    seed=0,
    epsilons=(1e-3, 5e-4),
    subspace=None,
    iterations=10,
    tolerance=1e-3,
    max_iterations=100,
    small_batch=64,
    big_batch=1024,
    pairs=20,
    statistics="batch",
    out=None,
    fresh=False,
    on_progress=None,
    on_result=None,
):
    """Measure saved models on the data of a workload, side by side.

    Args:
        paths: `.keras` files, one or several of one architecture.
        workload: A `Workload`, or what `get_workload` takes.
        what: Names out of `MEASURES`.
        samples: Use so many samples, chosen at random; `None` for all.
        split: `"train"` or `"val"`.
        seed: Seed of the random directions and of the batches.
        epsilons: Sizes of the box of the sharpness.
        subspace: Dimension of the sharpness's subspace, or `None`.
        iterations: Iterations of the sharpness's L-BFGS-B.
        tolerance: Relative accuracy of the eigenvalue.
        max_iterations: Most restarts of the eigenvalue's iteration.
        small_batch: The noise scale's small batch.
        big_batch: The noise scale's big batch.
        pairs: Big batches that the noise scale draws.
        statistics: Of the noise scale: `"batch"`, `"estimate"`, `"moving"`.
        out: Folder. Defaults to `runs/analyze-` and the files' names.
        fresh: Whether to forget the results in the folder.
        on_progress: Called as `on_progress(title, done, total, unit)`, `total`
            `None` where it is not known; `title` changes with each result.
        on_result: Called with one line of text when a result is there.

    Returns:
        An `Analysis`: `.table()` (Markdown), `.words()` (lines in plain
        words), `.report_path` (an HTML page), `.files` (all files written),
        `.records` (plain data).
    """
    raise NotImplementedError


def analyze_interpolation(
    path_a,
    path_b,
    workload,
    points=25,
    start=-1.0,
    end=2.0,
    statistics="estimate",
    samples=10_000,
    seed=0,
    out=None,
    fresh=False,
    on_progress=None,
    on_result=None,
):
    """Measure the loss along the line through two saved models.

    Args and results as those of `analyze`; `points` values of a between
    `start` and `end`.
    """
    raise NotImplementedError
