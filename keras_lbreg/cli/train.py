"""`lbreg train`: one arm, one model file."""

import dataclasses
from typing import Annotated

import typer

from keras_lbreg.cli import options
from keras_lbreg.cli.config_option import Config, print_origin, read_config
from keras_lbreg.cli.console import make_console
from keras_lbreg.cli.errors import INTERRUPTED, RUN_FAILED, report_errors
from keras_lbreg.cli.leave import leave
from keras_lbreg.experiments.configuration_file import TUNED


@report_errors
def train(
    context: typer.Context,
    name: options.Dataset = "digits",
    arm: Annotated[
        str,
        typer.Option(
            help=f"The arm to train, one of {options.ARMS}.",
            rich_help_panel=options.WHAT,
        ),
    ] = "large_batch",
    out: Annotated[
        str,
        typer.Option(
            metavar="MODEL.keras",
            help="File to save the trained model in.",
            rich_help_panel=options.WHERE,
        ),
    ] = "model.keras",
    seed: Annotated[
        int, typer.Option(help="Seed.", rich_help_panel=options.WHAT)
    ] = 0,
    batch_size: options.BatchSize = None,
    small_batch_size: options.SmallBatchSize = None,
    epochs: options.Epochs = None,
    settings: options.Set = None,
    config: Config = None,
    backend: options.Backend = None,
    strategy: options.Strategy = "auto",
    devices: options.Devices = None,
    virtual_devices: options.VirtualDevices = None,
    data_dir: options.DataDir = None,
    run_dir: Annotated[
        str | None,
        typer.Option(
            help="Folder of records and checkpoints. Default: runs/train-NAME.",
            rich_help_panel=options.WHERE,
        ),
    ] = None,
    fresh: options.Fresh = False,
    debug: options.Debug = False,
):
    """
    Train one arm of a comparison and save the model.

    The saved model is plain Keras: what a technique added for training (ghost
    batch norm's layers, DReg's second path) is taken out again. Interrupted,
    the same command continues from the last saved epoch.

    With several devices, the batch size is that of all of them together, and
    what each gets is printed. Of several workers, the chief alone writes.

    **Examples**

    ```shell
    lbreg train digits --arm lr_gbn --out digits.keras
    lbreg train cifar10 --arm all --batch-size 4096 --epochs 50
    lbreg train --config runs/tune-digits/best.json
    lbreg train digits --strategy mirrored --virtual-devices 4
    lbreg launch --workers 2 -- train digits
    ```

    ```python
    model = keras.saving.load_model("digits.keras")
    ```
    """
    from keras_lbreg.cli.backend import start_keras

    hyperparameters = options.parse_settings(settings)
    console = make_console()
    extra_arms = ()
    if config is not None:
        configuration, name = read_config(context, config)
        print_origin(configuration, name, console)
        extra_arms, arm = (configuration.arm(),), TUNED
        small_batch_size = configuration.small_batch_size
        batch_size = configuration.batch_size
        epochs = configuration.epochs
    start_keras(backend, virtual_devices)

    from keras_lbreg.cli.live import make_display
    from keras_lbreg.experiments import Experiment, choose_strategy, run

    experiment = Experiment(
        name,
        arms=(arm,),
        seeds=1,
        small_batch_size=small_batch_size,
        batch_size=batch_size,
        epochs=epochs,
        hyperparameters=hyperparameters,
        data_dir=data_dir,
        out_dir=run_dir,
        strategy=strategy,
        devices=devices,
        extra_arms=extra_arms,
    )
    if run_dir is None:
        experiment = dataclasses.replace(
            experiment, out_dir=f"runs/train-{experiment.name}"
        )
    options.warn_of_unused(experiment, console)
    try:
        with make_display(console, experiment.extra_arms) as display:
            result = run(
                experiment,
                arm,
                seed=seed,
                on_event=display,
                fresh=fresh,
                model_path=out,
            )
    except KeyboardInterrupt:
        console.print(
            "Interrupted. The same command goes on from the last saved epoch.",
            style="yellow",
        )
        raise typer.Exit(INTERRUPTED) from None
    placement = choose_strategy(strategy, devices)
    if result.status == "failed":
        leave(placement, RUN_FAILED)
    if placement.is_chief:
        console.print(f"Saved {out}", markup=False, soft_wrap=True)
    leave(placement)
