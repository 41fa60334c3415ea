"""Pages of HTML that need nothing else, and files that are whole."""

import os


def render_page(template, content, package="keras_lbreg.experiments"):
    """Return a page made of a template, which may extend `page.html.j2`.

    Args:
        template: File name of the template.
        content: What the template shows, a dictionary.
        package: The package in whose `templates/` the template stands.

    Returns:
        The HTML as a string.

    Example:

    >>> render_page("report.html.j2", page_content(results, figures))

    Reference: https://jinja.palletsprojects.com
    """
    import jinja2

    packages = dict.fromkeys((package, "keras_lbreg.experiments"))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(x) for x in packages]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(**content)


def write_file(path, content):
    """Write bytes so that no reader ever sees a half of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    os.replace(partial, path)
