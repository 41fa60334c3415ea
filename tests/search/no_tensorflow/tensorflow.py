"""Stands before TensorFlow on the path: as where it is not installed."""

raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
