"""Run the command line with `python -m keras_lbreg`."""

from keras_lbreg.cli import main

if __name__ == "__main__":
    main()
