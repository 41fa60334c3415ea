"""The `lbreg` command."""


def main():
    """Run `lbreg` with the arguments of this process.

    The import stands inside, so that `import keras_lbreg.cli` stays cheap.
    """
    from keras_lbreg.cli.app import app

    app()
