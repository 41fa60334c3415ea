"""Where the installed `lbreg` command starts.

A module outside the package: Python imports a package before what is inside
it, and `import keras_lbreg` loads Keras on a backend, except where it finds
this module loaded.
"""


def main():
    """Runs `lbreg` with the arguments of this process."""
    from keras_lbreg.cli import main

    main()
