"""Whether the runs of two manifests can stand side by side."""

from keras_lbreg.techniques import get as get_technique


def differences_between(old, new):
    """Why the runs of two manifests cannot stand side by side.

    Args:
        old: The manifest there is.
        new: The manifest of what is to run now; it may hold other arms.

    Returns:
        The differences in words, or `""`.

    Example:

    >>> differences_between(old, new)
    'epochs: 20 there, 40 now'

    Reference: `keras_lbreg.experiments.read_results` describes the folder.
    """
    differences = []
    if old["backend"] != new["backend"]:
        differences.append(("backend", old["backend"], new["backend"]))
    for part in ("dataset", "config"):
        for key, value in new[part].items():
            # A data file may have moved: its checksum says if it is the same.
            if key != "dataset" and old[part].get(key) != value:
                differences.append((key, old[part].get(key), value))
    arms = {arm["name"]: arm for arm in old["arms"]}
    for arm in new["arms"]:
        before = with_defaults(arms.get(arm["name"], arm))
        for key, value in with_defaults(arm).items():
            # `changes` says in words what the numbers say.
            if key != "changes" and before.get(key) != value:
                name = f"{arm['name']}.{key}"
                differences.append((name, before.get(key), value))
    return "; ".join(f"{k}: {a!r} there, {b!r} now" for k, a, b in differences)


def with_defaults(arm):
    """An arm's description with all hyperparameters of its techniques.

    A hyperparameter that is younger than a manifest had its default.
    """
    techniques = {
        name: {**get_technique(name).defaults, **values}
        for name, values in arm["techniques"].items()
    }
    return {**arm, "techniques": techniques}
