"""Whether larger values of a metric are better."""

# Parts of the names of what counts errors.
LOWER_IS_BETTER = (
    *("loss", "error", "mse", "mae", "mape", "msle", "divergence", "entropy"),
    *("hinge", "poisson", "cosh", "perplexity", "nll", "distance", "false"),
)


def direction_of(model, name):
    """`"max"` or `"min"`, as Keras knows it, or by the metric's name."""
    for compiled in model.metrics:
        for metric in (compiled, *getattr(compiled, "metrics", ())):
            if name == metric.name or name.endswith(f"_{metric.name}"):
                known = getattr(metric, "_direction", None)
                if known in ("up", "down"):
                    return "max" if known == "up" else "min"
    lower = any(part in name for part in LOWER_IS_BETTER)
    return "min" if lower else "max"
