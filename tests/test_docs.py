"""README, site, method cards and docstrings say what is true.

A Python block whose first line is `# backend: tensorflow` runs only there;
one that begins with `# not run: <why>` is not executed. Files of docs/examples
and docs/notebooks are run by test_examples.py.
"""

import importlib
import inspect
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse

import keras
import pytest

import keras_lbreg
from keras_lbreg.techniques import register

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
CARDS = {path.stem: path for path in sorted(ROOT.glob("docs/methods/*.md"))}
HEADINGS = [
    "What it does",
    "How to use",
    "Hyperparameters",
    "Technical details",
    "Cost",
    "When it does not help",
    "Attribution",
]
# Cards of techniques that arms do not switch on and off.
OTHER_CARDS = ["lars"]

GUIDES = sorted((ROOT / "docs").glob("*.md"))
REFERENCE = sorted((ROOT / "docs" / "reference").glob("*.md"))
NOTEBOOKS = ROOT / "docs" / "notebooks"
SITE = (ROOT / "mkdocs.yml").read_text("utf-8")
EXAMPLES = [path.read_text("utf-8") for path in ROOT.glob("docs/examples/*.py")]

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<img[^>]+src=\"([^\"]+)\"")


def relative(path):
    return path.relative_to(ROOT).as_posix()


def python_blocks():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start(1)) + 1
            yield pytest.param(
                page, line, match[1], id=f"{relative(page)}:{line}"
            )


def local_links():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in LINK.finditer(text):
            target = match[1] or match[2]
            if urllib.parse.urlparse(target).scheme:
                continue
            line = text.count("\n", 0, match.start()) + 1
            yield pytest.param(page, target, id=f"{relative(page)}:{line}")


def anchors(page):
    """The anchors of a page's headings."""
    headings = re.findall(
        r"^#+ +(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


def public_objects():
    for name in keras_lbreg.__all__:
        value = getattr(keras_lbreg, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            yield pytest.param(value, id=name)


@pytest.mark.parametrize(("page", "line", "code"), list(python_blocks()))
def test_code_runs(page, line, code, tmp_path, monkeypatch):
    first = code.partition("\n")[0]
    if first.startswith("# not run"):
        reason = first.removeprefix("# not run").lstrip(": ")
        assert reason, "the line has to say why the block is not run"
        pytest.skip(reason)
    if code in EXAMPLES:
        pytest.skip("is run as a file")
    backend = re.fullmatch(r"# backend: (\w+)", first)
    if backend and backend[1] != keras.backend.backend():
        pytest.skip(f"needs the {backend[1]} backend")
    monkeypatch.chdir(tmp_path)
    # The empty lines give errors the line numbers of the page.
    program = compile("\n" * (line - 1) + code, page, "exec")
    exec(program, {"__name__": "__main__"})


@pytest.mark.parametrize(("page", "target"), list(local_links()))
def test_link_leads_somewhere(page, target):
    path, _, anchor = target.partition("#")
    destination = (page.parent / path) if path else page
    assert destination.exists(), target
    if anchor:
        assert anchor in anchors(destination), target


@pytest.mark.parametrize("value", list(public_objects()))
def test_docstring_is_complete(value):
    sections = ["Args", "Example", "Reference"]
    if not inspect.signature(value).parameters:
        sections.remove("Args")
    missing = [s for s in sections if s not in (value.__doc__ or "")]
    assert not missing


@pytest.mark.parametrize("technique", register.TECHNIQUES, ids=lambda t: t.name)
def test_technique_has_a_card(technique):
    assert technique.card in CARDS


@pytest.mark.parametrize(
    "card", sorted({t.card for t in register.TECHNIQUES} | set(OTHER_CARDS))
)
def test_card_has_every_section(card):
    text = CARDS[card].read_text(encoding="utf-8")
    found = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert [heading for heading in found if heading in HEADINGS] == HEADINGS
    # What is written under a heading goes beyond a line.
    for section in re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]:
        assert len(section.split()) > 10


def test_every_card_is_checked():
    expected = {t.card for t in register.TECHNIQUES} | set(OTHER_CARDS)
    assert set(CARDS) == expected


def test_readme_lists_every_technique():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [line for line in readme.splitlines() if line.startswith("| [")]
    listed = [
        (row.split("]")[0][3:], row.split("|")[2].strip()) for row in rows
    ]
    assert listed == [(t.title, t.symbol) for t in register.TECHNIQUES]


def test_readme_can_be_read_in_one_sitting():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert 100 <= len(lines) <= 150


def test_readme_examples_are_short():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    workload, techniques = BLOCK.findall(readme)[:2]
    assert "lbreg.Workload(" in workload
    assert len([line for line in workload.splitlines() if line]) <= 25
    assert len([line for line in techniques.splitlines() if line]) <= 15


def documented_names():
    """The public names that the pages of the API reference show."""
    text = "".join(page.read_text("utf-8") for page in REFERENCE)
    return re.findall(r"^::: keras_lbreg\.(\w+)\.(\w+)$", text, re.MULTILINE)


@pytest.mark.parametrize("module", keras_lbreg.NAMES)
def test_reference_has_every_name(module):
    public = importlib.import_module(f"keras_lbreg.{module}").__all__
    documented = [n for m, n in documented_names() if m == module]
    assert sorted(documented) == sorted(public)
    assert set(keras_lbreg.NAMES[module]) <= set(documented)
    page = (ROOT / "docs" / "reference" / f"{module}.md").read_text("utf-8")
    index = (ROOT / "docs" / "reference" / "index.md").read_text("utf-8")
    for name in public:
        assert f"::: keras_lbreg.{module}.{name}\n" in page
        assert f"[`{name}`][keras_lbreg.{module}.{name}]" in index


def test_reference_has_no_other_names():
    assert {module for module, _ in documented_names()} == set(
        keras_lbreg.NAMES
    )
    # All that is not a module is one of a module's names.
    others = {*keras_lbreg.NAMES, "__version__"}
    names = {name for _, name in documented_names()}
    assert set(keras_lbreg.__all__) - others <= names


def test_navigation_has_every_page():
    navigated = re.findall(r"^ +- .+: (\S+\.md)$", SITE, re.MULTILINE)
    pages = [p.relative_to(ROOT / "docs") for p in ROOT.glob("docs/**/*.md")]
    recipes = [p.relative_to(ROOT) for p in ROOT.glob("recipes/**/README.md")]
    notebooks = [
        p.relative_to(ROOT / "docs").with_suffix(".md")
        for p in NOTEBOOKS.glob("*.ipynb")
    ]
    expected = [path.as_posix() for path in pages + recipes + notebooks]
    assert sorted(navigated) == sorted(expected)


@pytest.mark.parametrize(
    "page", [*GUIDES, *REFERENCE, *CARDS.values()], ids=relative
)
def test_page_says_whom_it_helps(page):
    beginning = page.read_text("utf-8").splitlines()[:3]
    assert re.match(r"For (every|who)", beginning[2])


def test_notebooks_agree_with_their_guides():
    sys.path.insert(0, str(NOTEBOOKS))
    try:
        from make_notebook import to_notebook
    finally:
        sys.path.remove(str(NOTEBOOKS))
    notebooks = list(NOTEBOOKS.glob("*.ipynb"))
    assert notebooks
    for notebook in notebooks:
        guide = notebook.with_suffix(".py").read_text("utf-8")
        assert notebook.read_text("utf-8") == to_notebook(guide)


@pytest.mark.timeout(600)
def test_site_builds_and_fetches_nothing(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = "-m mkdocs build -q --strict --site-dir"
    subprocess.run(
        [sys.executable, *command.split(), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    fetched = re.compile(
        r"<(?:script|img|iframe|source)[^>]+src=\"?(?:https?:)?//"
        r"|<link[^>]+href=\"?(?:https?:)?//"
    )
    pages = list(tmp_path.glob("**/*.html"))
    assert len(pages) > 100
    for page in pages:
        assert not fetched.search(page.read_text("utf-8")), page
    shown = "".join(
        (tmp_path / "reference" / f"{module}.html").read_text("utf-8")
        for module in keras_lbreg.NAMES
    )
    for module, name in documented_names():
        assert f'id="keras_lbreg.{module}.{name}"' in shown
