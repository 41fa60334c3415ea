"""`lbreg compare`: the main job."""

from keras_lbreg.cli import options
from keras_lbreg.cli.backend import end, start_keras
from keras_lbreg.cli.errors import report_errors
from keras_lbreg.cli.options import WHAT, folder, number, option
from keras_lbreg.formatting import make_console


@report_errors
def compare(
    workload: options.OptionalWorkload = None,
    batch_size: options.BatchSize = None,
    small_batch_size: options.SmallBatchSize = None,
    epochs: options.Epochs = None,
    arms: option(
        str | None,
        WHAT,
        "A,B,...",
        "Only these arms, of those that `lbreg arms` lists.",
    ) = None,
    seeds: number(WHAT, "Runs of each arm, with consecutive seeds.") = 3,
    first_seed: number(WHAT, "The first of the seeds.") = 0,
    settings: options.Set = None,
    config: options.Config = None,
    backend: options.Backend = None,
    strategy: options.Strategy = "one",
    devices: options.Devices = None,
    virtual_devices: options.VirtualDevices = None,
    data_dir: options.DataDir = None,
    out: folder("Folder of the results. Default: runs/NAME.") = None,
    fresh: options.Fresh = False,
    debug: options.Debug = False,
):
    """
    Compare training with a small batch, a large batch, and remedies.

    - An **arm** is one way to train the model: a batch size and techniques.
    - The **gap** is what the large batch loses against the small one.
    - **Closed** is the part of the gap that an arm gets back.
    - **RA**, regime adaptation, trains as many updates as the small batch
      does, in more epochs. `lbreg arms` explains all arms.

    Every arm runs with several seeds, and is judged by paired differences.

    **Your own model**: a Python file with a `workload`. `lbreg new train.py`
    writes one to begin with.

    ```python
    workload = keras_lbreg.Workload(
        build_model,  # a function that returns your compiled model
        (x, y), (x_val, y_val), keras_lbreg.Regime(64, 1e-3, epochs=20))
    ```

    **Interrupted?** Give the same command again. Finished runs are kept, a
    half run goes on from its last saved epoch.

    **Examples**

    ```shell
    lbreg compare digits --seeds 1        # real data, no download
    lbreg compare train.py --batch-size 4096
    lbreg compare my.package:make_workload --backend jax
    lbreg compare cifar10 --arms small_batch,large_batch,lr
    lbreg compare digits --set dreg.weight=0.05 --out runs/dreg-0.05
    lbreg compare --config runs/tune-digits/best.json --first-seed 100
    ```

    With `--config`, the default of `--arms` is small_batch, large_batch, lr,
    lr_warmup and lr_doubled.

    **What comes out**, in `runs/NAME/`

    - `report.html`: the whole comparison on one page, to read first
    - `table.md`, `table.csv` and `plots/`: the same in pieces
    - `runs/ARM/seed-K/epochs.jsonl`: one line per epoch of every run
    - `manifest.json`: versions, device, seeds and the full configuration
    - `tensorboard/`: for `tensorboard --logdir` (TensorFlow backend only)

    Exit status: 0 all runs finished, 1 some run failed, 2 wrong usage,
    130 interrupted, 143 terminated.
    """
    hyperparameters = options.parse_settings(settings)
    start_keras(backend, virtual_devices)

    from keras_lbreg.comparison import compare as run_comparison
    from keras_lbreg.training.placement import choose_strategy

    tuned, spec, *sizes = options.read_config(
        config, workload, batch_size, small_batch_size, epochs
    )
    chosen = options.choose_arms(arms, tuned)
    options.warn_of_unused(hyperparameters, chosen)
    # First: a cluster is set up where nothing has been computed.
    placement = choose_strategy(strategy, devices)
    results = run_comparison(
        options.load_workload(spec, data_dir, *sizes),
        batch_size=sizes[0],
        arms=chosen,
        seeds=seeds,
        first_seed=first_seed,
        hyperparameters=hyperparameters,
        out=out,
        strategy=strategy,
        devices=devices,
        fresh=fresh,
    )
    if placement.is_chief:
        show_results(results, make_console())
    end(placement, any(run.status != "finished" for run in results.runs))


def show_results(results, console):
    """Prints the table of a comparison and its headline."""
    from keras_lbreg.comparison.statistics import headline
    from keras_lbreg.comparison.table import excluded_runs, to_rich

    console.print(to_rich(results, console.width))
    console.print(headline(results))
    for line in excluded_runs(results):
        console.print(line, style="red", soft_wrap=True)
    console.print(f"Report: {results.report_path}", soft_wrap=True)
