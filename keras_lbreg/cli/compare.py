"""`lbreg compare`: the main job."""

from typing import Annotated

import typer

from keras_lbreg.cli import options
from keras_lbreg.cli.config_option import Config, print_origin, read_config
from keras_lbreg.cli.console import make_console
from keras_lbreg.cli.errors import INTERRUPTED, RUN_FAILED, report_errors
from keras_lbreg.cli.leave import leave
from keras_lbreg.experiments.configuration_file import TUNED


@report_errors
def compare(
    context: typer.Context,
    name: options.Dataset = "digits",
    arms: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help=f"Only some of the arms: {options.ARMS}. Default: all.",
            rich_help_panel=options.WHAT,
        ),
    ] = None,
    batch_size: options.BatchSize = None,
    small_batch_size: options.SmallBatchSize = None,
    seeds: Annotated[
        int,
        typer.Option(
            help="Runs per arm, with consecutive seeds.",
            rich_help_panel=options.WHAT,
        ),
    ] = 3,
    first_seed: Annotated[
        int,
        typer.Option(
            help="The first of the seeds.", rich_help_panel=options.WHAT
        ),
    ] = 0,
    epochs: options.Epochs = None,
    settings: options.Set = None,
    config: Config = None,
    backend: options.Backend = None,
    strategy: options.Strategy = "one",
    devices: options.Devices = None,
    virtual_devices: options.VirtualDevices = None,
    data_dir: options.DataDir = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Folder of the results. Default: runs/NAME.",
            rich_help_panel=options.WHERE,
        ),
    ] = None,
    fresh: options.Fresh = False,
    debug: options.Debug = False,
):
    """
    Compare training with a small batch, a large batch, and remedies.

    Trains one model on one dataset in several *arms*: the small batch, the
    plain large batch, and the large batch with each technique. Every arm runs
    with several seeds. What an arm scales (batch, learning rate, epochs) is
    printed before it starts. `--config` adds the arm *tuned*.

    **Interrupted?** Give the same command again. Finished runs are kept, a
    half run goes on from its last saved epoch.

    **Examples**

    ```shell
    lbreg compare                         # digits: real data, no download
    lbreg compare digits --seeds 1        # a first look
    lbreg compare mnist --data-dir ~/tensorflow_datasets
    lbreg compare cifar10 --arms small_batch,large_batch,lr --batch-size 4096
    lbreg compare digits --set dreg.weight=0.05 --out runs/dreg-0.05
    lbreg compare --config runs/tune-digits/best.json --first-seed 100
    lbreg compare my_data.npz --backend jax
    ```

    **What comes out**, in `runs/NAME/`

    - `report.html`: the whole comparison on one page, to read first
    - `table.md`, `table.csv` and `plots/`: the same in pieces
    - `runs/ARM/seed-K/epochs.jsonl`: one line per epoch of every run
    - `manifest.json`: versions, device, seeds and the full configuration
    - `tensorboard/`: for `tensorboard --logdir` (TensorFlow backend only)

    Exit status: 0 all runs finished, 1 some run failed, 2 wrong usage,
    130 interrupted.
    """
    from keras_lbreg.cli.backend import start_keras

    hyperparameters = options.parse_settings(settings)
    console = make_console()
    arms, extra_arms = split_names(arms), ()
    if config is not None:
        configuration, name = read_config(context, config)
        print_origin(configuration, name, console)
        extra_arms = (configuration.arm(),)
        arms = arms and (*arms, TUNED)
        small_batch_size = configuration.small_batch_size
        batch_size = configuration.batch_size
        epochs = configuration.epochs
    running = start_keras(backend, virtual_devices)

    from keras_lbreg.cli.live import make_display
    from keras_lbreg.cli.show_results import show_results
    from keras_lbreg.experiments import Experiment, choose_strategy
    from keras_lbreg.experiments import compare as run_comparison

    experiment = Experiment(
        name,
        arms=arms,
        seeds=seeds,
        small_batch_size=small_batch_size,
        batch_size=batch_size,
        epochs=epochs,
        hyperparameters=hyperparameters,
        data_dir=data_dir,
        out_dir=out,
        strategy=strategy,
        devices=devices,
        extra_arms=extra_arms,
        first_seed=first_seed,
    )
    options.warn_of_unused(experiment, console)
    if running != "tensorflow":
        console.print(
            "No TensorBoard logs: they are written with TensorFlow only, and "
            f"Keras runs on {running}."
        )
    try:
        with make_display(console, experiment.extra_arms) as display:
            results = run_comparison(experiment, display, fresh=fresh)
    except KeyboardInterrupt:
        console.print(
            "Interrupted. Nothing is lost: give the same command again"
            f"{' without --fresh' if fresh else ''} and it goes on from the "
            "last saved epoch. `lbreg report` shows what there is.",
            style="yellow",
            markup=False,
        )
        raise typer.Exit(INTERRUPTED) from None
    placement = choose_strategy(strategy, devices)
    if placement.is_chief:
        show_results(results, console)
    failed = any(run.status == "failed" for run in results.runs)
    leave(placement, RUN_FAILED if failed else 0)


def split_names(text):
    """Return `"a, b"` as `("a", "b")`."""
    if text is None:
        return None
    return tuple(name.strip() for name in text.split(",") if name.strip())
