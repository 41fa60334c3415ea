"""Makes the notebooks of this folder from its guides.

    python docs/notebooks/make_notebook.py

A guide is a Python file in the style of keras.io: strings in triple quotes at
the beginning of a line are text in Markdown, all else is code.
"""

import json
import pathlib
import re

FOLDER = pathlib.Path(__file__).parent
TEXT = re.compile(r'^"""\n?(.*?)\n?"""\n', re.MULTILINE | re.DOTALL)
METADATA = {
    "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}


def cells(guide):
    """Pairs of `"markdown"` or `"code"` and the text of a cell."""
    kinds = ("code", "markdown")
    parts = enumerate(TEXT.split(guide))
    return [
        (kinds[i % 2], text.strip("\n")) for i, text in parts if text.strip()
    ]


def to_notebook(guide):
    """The notebook of a guide, as JSON."""
    notebook = {"cells": [], "metadata": METADATA}
    for number, (kind, text) in enumerate(cells(guide)):
        cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        cell["source"] = text.splitlines(keepends=True)
        notebook["cells"].append(cell)
    notebook |= {"nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def to_markdown(guide):
    """The page of a guide."""
    return "\n\n".join(
        text if kind == "markdown" else f"```python\n{text}\n```"
        for kind, text in cells(guide)
    )


def main():
    for guide in sorted(FOLDER.glob("*.py")):
        if guide.name != pathlib.Path(__file__).name:
            notebook = to_notebook(guide.read_text("utf-8"))
            guide.with_suffix(".ipynb").write_text(notebook, "utf-8")


if __name__ == "__main__":
    main()
