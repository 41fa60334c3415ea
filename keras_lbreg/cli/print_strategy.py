"""Print which devices train, and what each gets of a batch."""


def print_strategy(placement, layouts, console):
    """Print the strategy and, under several devices, how batches are divided.

    Args:
        placement: The `Placement`.
        layouts: The `BatchLayout` of every arm, by arm name.
        console: The `rich.console.Console` to print to.
    """
    console.print(placement.describe(), markup=False, soft_wrap=True)
    if placement.devices == 1:
        return
    shown = {}
    for arm, layout in layouts.items():
        shown.setdefault(str(layout), []).append(arm)
    for text, arms in shown.items():
        if len(layouts) > 1:
            console.print(f"{', '.join(arms)}:", markup=False)
        for line in text.splitlines():
            console.print(f"  {line}", markup=False, soft_wrap=True)
