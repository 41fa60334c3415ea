"""Breaks contracts one at a time, to see that a test notices.

```
python -m tests.mutations            # all of them, some ten minutes
python -m tests.mutations seed noise # some
```

Each mutation is made in a copy of the package. The table in `tests/README.md`
says what this prints.
"""

import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Mutation:
    """A contract, and the change of the package that breaks it.

    Args:
        name: What to call it.
        contract: What is broken.
        file: The file, in `keras_lbreg/`.
        old: Text that it holds once.
        new: What takes its place.
        test: The tests that have to fail, in `tests/`.
    """

    name: str
    contract: str
    file: str
    old: str
    new: str
    test: str


MUTATIONS = (
    Mutation(
        "clip",
        "gradients are clipped after their sum over the replicas",
        "optimizers/reduced_gradient.py",
        "        local_gradients = gradients\n",
        "        gradients = self._clip_gradients(gradients)\n"
        "        local_gradients = gradients\n",
        "optimizers/test_reduced_gradient.py"
        "::test_clipping_is_the_same_on_one_and_two_replicas",
    ),
    Mutation(
        "nesting",
        "wrappers change the reduced gradient in the order of nesting",
        "optimizers/reduced_gradient.py",
        "for wrapper in wrappers:\n            grads = wrapper.transform",
        "for wrapper in wrappers[::-1]:\n            grads = wrapper.transform",
        "optimizers/test_reduced_gradient.py"
        "::test_two_wrappers_call_the_hooks_in_one_pipeline",
    ),
    Mutation(
        "noise",
        "the noise's variance falls as (1 + t)^-gamma",
        "optimizers/gradient_noise.py",
        "-0.5 * self.gamma",
        "-self.gamma",
        "optimizers/test_gradient_noise.py::test_variance_is_that_of_optax",
    ),
    Mutation(
        "seed",
        "a random seed is a variable, and saved",
        "optimizers/gradient_noise.py",
        "normal_keys(self._seed_variable,",
        "normal_keys(self.seed or id(self) % 997,",
        "optimizers/test_gradient_noise.py"
        "::test_weights_file_carries_a_random_seed",
    ),
    Mutation(
        "index",
        "each variable has noise of its own",
        "optimizers/gradient_noise.py",
        "step, indices)",
        "step, [0] * len(indices))",
        "optimizers/test_gradient_noise.py"
        "::test_variables_and_seeds_get_noise_of_their_own",
    ),
    Mutation(
        "mix",
        "a replica's gradient is multiplied by K w_k, not by w_k",
        "optimizers/gradient_mix.py",
        "factor = groups * keras",
        "factor = keras",
        "optimizers/test_gradient_mix.py"
        "::test_each_replica_counts_with_its_weight",
    ),
    Mutation(
        "dirichlet",
        "mixing weights have the Dirichlet law",
        "random/mixing_weights.py",
        "np.float32(1.0 / concentration)",
        "np.float32(1.0)",
        "random/test_dirichlet.py::test_moments",
    ),
    Mutation(
        "scale",
        "one replica's infinite gradient skips the step on all",
        "optimizers/loss_scale_optimizer.py",
        "if replicas.replica_count() == 1:",
        "if True:",
        "optimizers/test_loss_scale_optimizer.py"
        "::test_infinite_gradient_on_one_replica_skips_the_step_on_all",
    ),
    Mutation(
        "lars",
        "the trust ratio's denominator is the sum of both norms",
        "optimizers/lars.py",
        "gradient_norm + decay * weight_norm + self.epsilon",
        "gradient_norm + self.epsilon",
        "optimizers/test_lars.py::test_follows_the_papers_formula",
    ),
    Mutation(
        "remainder",
        "the last ghost takes the remainder",
        "layers/ghost_normalize.py",
        "        self.count = most(1, whole)\n"
        "        of_size = most(whole - least(rest, 1), 0)\n",
        "        self.count = most(1, whole + least(rest, 1))\n"
        "        of_size = whole\n",
        "layers/test_ghost_normalize.py::test_sizes",
    ),
    Mutation(
        "age",
        "moving statistics take in the last ghost last",
        "layers/ghost_batch_normalization.py",
        "np.arange(count - 1.0, -1.0, -1.0)",
        "np.arange(float(count))",
        "layers/test_ghost_batch_normalization.py::test_moving_statistics",
    ),
    Mutation(
        "paths",
        "the right path comes first",
        "layers/paths.py",
        "return ops.concatenate([right, left])",
        "return ops.concatenate([left, right])",
        "layers/test_dreg_layer.py::test_both_stacks_the_paths",
    ),
    Mutation(
        "penalty",
        "the penalty drives the kernels apart",
        "layers/dreg_penalty.py",
        "return -weight * value",
        "return weight * value",
        "layers/test_dreg_penalty.py::test_frobenius_is_the_published_penalty",
    ),
    Mutation(
        "cap",
        "no gradient beyond `max_distance`",
        "layers/dreg_penalty.py",
        "ops.stop_gradient(value)",
        "value",
        "layers/test_dreg_penalty.py::test_no_gradient_beyond_the_cap",
    ),
    Mutation(
        "strip",
        "the stripped model has the path asked for",
        "models/apply_dreg.py",
        "use_left = is_left(",
        "use_left = not is_left(",
        "models/test_strip_dreg.py"
        "::test_strip_gives_the_architecture_and_the_path",
    ),
    Mutation(
        "precise",
        "batches count by their elements in re-estimated statistics",
        "callbacks/reestimate_batch_normalization.py",
        "n * m / total * shift**2",
        "0 * shift**2",
        "callbacks/test_reestimate_batch_normalization.py"
        "::test_population_statistics",
    ),
    Mutation(
        "stretch",
        "regime adaptation keeps the number of updates in each period",
        "schedules/regime.py",
        "(stretched_epoch(epoch, base, batch_size), rate)",
        "(epoch, rate)",
        "schedules/test_regime.py::test_stretching_keeps_the_number_of_updates",
    ),
    Mutation(
        "adam",
        "Adam's decays are scaled with the batch",
        "schedules/scale_adam.py",
        "1 - k * (1 - float(decay))",
        "float(decay) ** (k**0.5)",
        "schedules/test_scale_adam.py::test_formula",
    ),
    Mutation(
        "order",
        "each epoch has an order of its own",
        "data/batches.py",
        "[self.seed, epoch, *again]",
        "[self.seed, *again]",
        "data/test_batches.py"
        "::test_every_epoch_is_a_new_order_of_distinct_samples",
    ),
    Mutation(
        "holm",
        "verdicts are corrected for the number of arms",
        "comparison/statistics.py",
        "LEVEL / (len(tests) - place)",
        "LEVEL",
        "comparison/test_statistics.py::test_more_arms_make_a_verdict_harder",
    ),
    Mutation(
        "digest",
        "records that were changed are no result",
        "training/records.py",
        'content.get("digest") != digest(written)',
        "False",
        "training/test_run.py::test_damaged_records_are_no_results",
    ),
)


def is_noticed(mutation, folder):
    """Whether the test fails with the mutation, made in a copy."""
    shutil.copytree(ROOT / "keras_lbreg", folder / "keras_lbreg")
    for name in ("tests", "recipes", "docs", "pyproject.toml", "README.md"):
        (folder / name).symlink_to(ROOT / name)
    path = folder / "keras_lbreg" / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        raise ValueError(f"{mutation.name}: not once in {mutation.file}")
    path.write_text(text.replace(mutation.old, mutation.new))
    options = ["-q", "-x", "-p", "no:cacheprovider", "-m", ""]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"tests/{mutation.test}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if ended.returncode not in (0, 1):
        raise RuntimeError(ended.stdout[-2000:])
    return ended.returncode == 1


def main(names):
    missed = 0
    print("| contract | broken in | noticed by |\n| --- | --- | --- |")
    for mutation in MUTATIONS:
        if names and mutation.name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            noticed = is_noticed(mutation, pathlib.Path(folder))
        missed += not noticed
        test = f"`{mutation.test}`" if noticed else "**nothing**"
        print(f"| {mutation.contract} | `{mutation.file}` | {test} |")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
