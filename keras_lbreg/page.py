"""Pages of HTML that need nothing else."""


def render_page(template, content, package):
    """A page made of a template, which may extend `page.html.j2`.

    Args:
        template: File name of the template.
        content: What the template shows, a dictionary; `page.html.j2` needs
            `title`, `headline` and the list `facts`.
        package: The package whose folder `templates` holds the template.

    Returns:
        The HTML as a string.

    Reference: https://jinja.palletsprojects.com
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(p) for p in (package, "keras_lbreg")]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(**content)
