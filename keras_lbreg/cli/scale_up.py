"""`lbreg scale-up`: what to write for a large batch."""

from keras_lbreg.cli import options
from keras_lbreg.cli.backend import start_keras
from keras_lbreg.cli.errors import report_errors
from keras_lbreg.cli.options import folder, number, option
from keras_lbreg.formatting import make_console

STEPS = "How much to try"


@report_errors
def scale_up(
    workload: options.WorkloadSpec,
    batch_size: options.BatchSize = None,
    budget: option(
        float | None,
        STEPS,
        "MINUTES",
        "Time for all steps. What is left out for it is said.",
    ) = None,
    trials: number(STEPS, "Trials of the search for the learning rate.") = 24,
    seeds: number(STEPS, "Runs of each arm that is compared.") = 3,
    quick: option(
        bool, STEPS, None, "A first look: 6 trials, 2 seeds."
    ) = False,
    curve: option(
        str | None,
        STEPS,
        "N,N,...",
        "Batch sizes at which to measure where it stops scaling.",
    ) = None,
    optimizers: option(
        str | None,
        STEPS,
        "NAME,...",
        "Also search a rate for lars (in SGD's place) or lamb (in Adam's).",
    ) = None,
    small_batch_size: options.SmallBatchSize = None,
    epochs: options.Epochs = None,
    backend: options.Backend = None,
    strategy: options.Strategy = "one",
    devices: options.Devices = None,
    virtual_devices: options.VirtualDevices = None,
    data_dir: options.DataDir = None,
    out: folder("Folder of the results. Default: runs/scale-up-NAME.") = None,
    fresh: options.Fresh = False,
    debug: options.Debug = False,
):
    """
    Find what to write to train your model with a large batch.

    The learning rate comes first: searched around and above the square-root
    rule, with warm-up and a lower final rate, on held-out data. Each technique
    is then tried on the best rate, and kept only where it is better than
    chance. The answer is confirmed on fresh seeds beside the small batch, the
    large batch and the best rate alone, and printed as lines for your script.

    **Interrupted?** Give the same command again.

    **Examples**

    ```shell
    lbreg scale-up digits --budget 10
    lbreg scale-up train.py --batch-size 4096
    lbreg scale-up digits --curve 32,64,128,256,512
    ```

    **What comes out**, in `runs/scale-up-NAME/`

    - `report.html`: the answer, the lines, and every step
    - `scale_up.json`: the same for programs
    - `1-reference` to `4-confirm`: the results of each step

    Exit status: 0 there is an answer, 2 wrong usage, 130 interrupted, 143
    terminated.
    """
    start_keras(backend, virtual_devices)

    from keras_lbreg.scaling import scale_up as find

    sizes = None
    if curve is not None:
        words = options.split(curve)
        if not words or not all(word.isdigit() for word in words):
            raise ValueError(
                "Invalid value for option `--curve`. Expected batch sizes with "
                f"commas between them, such as 64,256. Received: {curve}"
            )
        sizes = [int(word) for word in words]
    found = find(
        options.load_workload(
            workload, data_dir, batch_size, small_batch_size, epochs
        ),
        batch_size=batch_size,
        budget=budget,
        trials=trials,
        seeds=seeds,
        quick=quick,
        curve=sizes,
        optimizers=options.split(optimizers or ""),
        out=out,
        strategy=strategy,
        devices=devices,
        fresh=fresh,
    )
    show(found, make_console())


def show(found, console):
    """Prints the answer, the table of its confirmation, and the lines."""
    from keras_lbreg.comparison.table import to_rich

    console.print(to_rich(found.confirmed, console.width))
    console.print(found.text)
    if found.curve is not None:
        console.print(f"\n{found.curve}")
    console.print(f"\n{found.code}", soft_wrap=True)
    console.print(f"Report: {found.report_path}", soft_wrap=True)
