"""The figures of the READMEs, drawn from the records."""

from keras_lbreg.files import write_file
from keras_lbreg.plot_style import to_png


def write_figures(paper):
    """Draws a paper's figures; returns the paths of those that were."""
    paths = []
    for name, draw in paper.figures.items():
        figure = draw(paper)
        if figure is not None:
            path = paper.folder / "figures" / name
            write_file(path, to_png(figure))
            paths.append(path)
    return paths
