"""A recipe's README and figures, made of its results."""

import re

from keras_lbreg.files import write_file
from keras_lbreg.plot_style import (
    to_png,
)

TABLE = re.compile(
    r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end of table -->)", re.DOTALL
)


def render_page(study):
    """The README's text with all its tables made anew.

    Equal to the file where tables and results agree.

    Raises:
        ValueError: The README asks for a table that the study does not have,
            or leaves one out.
    """
    text = (study.folder / "README.md").read_text("utf-8")
    asked = {match[2] for match in TABLE.finditer(text)}
    if asked != set(study.tables):
        raise ValueError(
            f"{study.name}/README.md and the study disagree about tables. "
            f"Expected {sorted(study.tables)}. Received: {sorted(asked)}"
        )

    def fill(match):
        return f"{match[1]}{study.tables[match[2]](study)}{match[4]}"

    return TABLE.sub(fill, text)


def rewrite_page(study):
    """Write the README with its tables made anew; returns its path."""
    page = study.folder / "README.md"
    write_file(page, render_page(study).encode())
    return [page]


def write_figures(study):
    """Draw the study's figures; returns the paths of those that were."""
    paths = []
    for name, draw in study.figures.items():
        figure = draw(study)
        if figure is not None:
            path = study.folder / "figures" / name
            write_file(path, to_png(figure))
            paths.append(path)
    return paths
