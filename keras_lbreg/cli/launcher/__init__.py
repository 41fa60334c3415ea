"""Processes of one cluster on this machine: what `lbreg launch` runs on.

Neither Keras nor typer is imported here: a launcher that waits seconds for
TensorFlow would start every worker that much later.
"""
