"""What `mkdocs build` needs beside mkdocs.yml: pages made of other files.

Hooks of MkDocs add recipes, sources and notebooks to the site and make links
between files of the repository links of the site. `KerasDocstrings`, an
extension of griffe, makes Markdown of docstrings in Keras's form.
"""

import pathlib
import posixpath
import re
import sys
import textwrap

import griffe
from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs" / "notebooks"))

import make_notebook  # noqa: E402

FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()([^)\s:#]+)(?=[)#])")
NAME = re.compile(r"(?<!\[)`(?:keras_)?lbreg\.([\w.]+)(\([^`]*\))?`(?!\])")


def public_paths():
    """Where the API reference has each name, by the name as users write it."""
    paths = {}
    for page in sorted((ROOT / "docs" / "reference").glob("*.md")):
        for path in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.M):
            _, module, name = path.split(".")
            paths[name] = paths[f"{module}.{name}"] = path
    return paths


PATHS = public_paths()


def source_uri(path):
    """The page of a source file."""
    return f"source/{path.removesuffix('.py')}.md"


def on_files(files, config):
    def add(uri, **content):
        files.append(File.generated(config, uri, **content))

    for page in ROOT.glob("recipes/**/README.md"):
        uri = page.relative_to(ROOT).as_posix()
        add(uri, content=page.read_text("utf-8"))
    for figure in ROOT.glob("recipes/*/figures/*"):
        add(figure.relative_to(ROOT).as_posix(), abs_src_path=str(figure))
    for folder in ("keras_lbreg", "recipes", "docs/examples"):
        for file in ROOT.glob(f"{folder}/**/*.py"):
            path = file.relative_to(ROOT).as_posix()
            code = file.read_text("utf-8")
            if code:
                add(source_uri(path), content=source_page(path, code))
    for guide in ROOT.glob("docs/notebooks/*.ipynb"):
        uri = guide.relative_to(ROOT / "docs").with_suffix(".md").as_posix()
        text = guide.with_suffix(".py").read_text("utf-8")
        page = make_notebook.to_markdown(text)
        files_of_it = f"[Notebook]({guide.name}) · [script]({guide.stem}.py)"
        add(uri, content=page.replace("\n\n", f"\n\n{files_of_it}\n\n", 1))
    return files


def source_page(path, code):
    front = "---\nsearch:\n  exclude: true\nhide: [navigation, toc]\n---\n"
    return f"{front}# {path}\n\n``````py\n{code}``````\n"


def on_page_markdown(markdown, page, config, files):
    uri = page.file.src_uri
    if uri.startswith("source/"):
        return markdown
    parts = FENCE.split(markdown)
    # Every second part is a block of code.
    parts[::2] = [
        LINK.sub(lambda link: site_link(link[1], uri), cross_link(part))
        for part in parts[::2]
    ]
    parts[1::2] = [note_for_readers(block) for block in parts[1::2]]
    return "".join(parts)


def note_for_readers(block):
    """A block whose first line is for people and not for the tests."""
    block = block.replace("```python\n# not run: ", "```python\n# ", 1)
    return block.replace(
        "```python\n# backend: ", "```python\n# KERAS_BACKEND=", 1
    )


def site_link(target, uri):
    """The link of a file in the site for its link in the repository."""
    here = uri if uri.startswith("recipes/") else f"docs/{uri}"
    path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
    if path.endswith(".ipynb") and not uri.startswith("notebooks/"):
        path = path.replace(".ipynb", ".md")
    if path.endswith(".py") and "/notebooks/" not in path:
        path = source_uri(path)
    elif path.startswith("docs/"):
        path = path.removeprefix("docs/")
    return posixpath.relpath(path, posixpath.dirname(uri) or ".")


def cross_link(markdown):
    """Links public names to the API reference, except in headings."""

    def link(match):
        path = PATHS.get(match[1])
        return f"[{match[0]}][{path}]" if path else match[0]

    lines = markdown.split("\n")
    return "\n".join(
        line if line.startswith("#") else NAME.sub(link, line) for line in lines
    )


class KerasDocstrings(griffe.Extension):
    """Makes Markdown of docstrings in the form that Keras's have."""

    def on_package(self, *, pkg, **kwargs):
        # What `__getattr__` of a module imports when it is first used.
        for path in PATHS.values():
            _, module, name = path.split(".")
            if name not in pkg[module].members or pkg[module][name].is_module:
                [target] = [
                    file[name]
                    for file in pkg[module].modules.values()
                    if name in file.members and not file[name].is_alias
                ]
                alias = griffe.Alias(name, target, parent=pkg[module])
                pkg[module].members[name] = alias

    def on_object(self, *, obj, **kwargs):
        if not obj.docstring or obj.is_module:
            return
        text = cross_link(to_google_style(obj.docstring.value))
        if obj.parent.is_module and obj.name in PATHS:
            text = f"{source_line(obj)}\n\n{text}"
        obj.docstring.value = text


def source_line(obj):
    file = obj.relative_package_filepath.as_posix()
    link = f"[{file}](../{source_uri(file)}#line-0-{obj.lineno})"
    return f"<small>Source: {link}</small>"


def to_google_style(text):
    """Sections that griffe does not know become text, examples blocks."""
    text = re.sub(
        r"^>>> (?:.+\n?)+",
        lambda block: f"```pycon\n{block[0].rstrip()}\n```\n",
        text,
        flags=re.MULTILINE,
    )
    text = re.sub(
        r"^(Input shape|Output shape):\n((?:    .*\n?|\n)+)",
        lambda part: f"**{part[1]}**\n\n{textwrap.dedent(part[2])}",
        text,
        flags=re.MULTILINE,
    )
    text = re.sub(r"^(Examples?|References?):", r"**\1**", text, flags=re.M)
    return re.sub(
        r"^Call arguments:", "Keyword Args: Call arguments", text, flags=re.M
    )
