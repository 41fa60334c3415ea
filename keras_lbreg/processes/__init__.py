"""Child processes that end with their parent.

Neither Keras nor anything else outside of Python is imported here: a parent
that waits seconds for TensorFlow would start every child that much later.
"""
