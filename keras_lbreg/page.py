"""Pages of HTML that need nothing else."""


def render_page(template, content, package):
    """The HTML of one of a package's `templates`, filled with a dictionary."""
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
