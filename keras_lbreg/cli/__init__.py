"""The `lbreg` command."""


def main():
    """Runs `lbreg` with the arguments of this process."""
    # Here, so that `import keras_lbreg.cli` stays cheap.
    from keras_lbreg.cli.app import app
    from keras_lbreg.cli.errors import prepare_process

    prepare_process()
    app()
