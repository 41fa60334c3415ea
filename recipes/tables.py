"""The tables of the READMEs, made of the records."""

import re

from keras_lbreg.files import write_file

TABLE = re.compile(
    r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end of table -->)", re.DOTALL
)


def render_readme(paper):
    """The README's text with all its tables made anew.

    Equal to the file where tables and records agree.

    Raises:
        ValueError: The README asks for a table that the paper does not have,
            or leaves one out.
    """
    text = (paper.folder / "README.md").read_text("utf-8")
    asked = {match[2] for match in TABLE.finditer(text)}
    if asked != set(paper.tables):
        raise ValueError(
            f"{paper.name}/README.md and the recipe disagree about tables. "
            f"Expected {sorted(paper.tables)}. Received: {sorted(asked)}"
        )
    return TABLE.sub(
        lambda match: f"{match[1]}{paper.tables[match[2]](paper)}{match[4]}",
        text,
    )


def rewrite_readme(paper):
    """Writes the README with its tables made anew; returns its path."""
    path = paper.folder / "README.md"
    write_file(path, render_readme(paper))
    return path
