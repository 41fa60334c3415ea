"""Tables in Markdown."""


def markdown(head, rows):
    """A Markdown table, the first column to the left."""
    rule = [":--", *["--:"] * (len(head) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *rows))
