"""`lbreg train`: one arm, one model file."""

from keras_lbreg.cli import options
from keras_lbreg.cli.backend import end, start_keras
from keras_lbreg.cli.errors import report_errors
from keras_lbreg.cli.options import WHAT, WHERE, folder, number, option
from keras_lbreg.formatting import make_console


@report_errors
def train(
    workload: options.OptionalWorkload = None,
    arm: option(
        str | None,
        WHAT,
        "NAME",
        "The arm to train, of those that `lbreg arms` lists. Default: lr, or "
        "that of --config.",
    ) = None,
    batch_size: options.BatchSize = None,
    small_batch_size: options.SmallBatchSize = None,
    epochs: options.Epochs = None,
    seed: number(WHAT, "Seed.") = 0,
    settings: options.Set = None,
    config: options.Config = None,
    backend: options.Backend = None,
    strategy: options.Strategy = "auto",
    devices: options.Devices = None,
    virtual_devices: options.VirtualDevices = None,
    data_dir: options.DataDir = None,
    out: option(
        str, WHERE, "MODEL.keras", "File to save the trained model in."
    ) = "model.keras",
    run_dir: folder(
        "Folder of records and checkpoints. Default: runs/train-NAME."
    ) = None,
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
    lbreg train train.py --arm all --batch-size 4096 --epochs 50
    lbreg train --config runs/tune-digits/best.json
    lbreg train digits --strategy mirrored --virtual-devices 4
    lbreg launch --workers 2 -- train digits
    ```

    ```python
    model = keras.saving.load_model("digits.keras")
    ```
    """
    hyperparameters = options.parse_settings(settings)
    start_keras(backend, virtual_devices)

    from keras_lbreg.comparison import train as run_training
    from keras_lbreg.training.placement import choose_strategy

    tuned, spec, *sizes = options.read_config(
        config, workload, batch_size, small_batch_size, epochs
    )
    chosen = arm or tuned or "lr"
    options.warn_of_unused(hyperparameters, [chosen])
    # First: a cluster is set up where nothing has been computed.
    placement = choose_strategy(strategy, devices)
    result = run_training(
        options.load_workload(spec, data_dir, *sizes),
        chosen,
        batch_size=sizes[0],
        seed=seed,
        hyperparameters=hyperparameters,
        out=run_dir,
        model_path=out,
        strategy=strategy,
        devices=devices,
        fresh=fresh,
    )
    failed = result.status != "finished"
    if placement.is_chief:
        line = result.reason if failed else f"Saved {out}"
        make_console().print(line, soft_wrap=True)
    end(placement, failed)
