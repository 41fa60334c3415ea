"""The look that all plots share."""

import contextlib
import io

from keras_lbreg.experiments.arms import BASELINE, REFERENCE

# Okabe and Ito's palette without yellow and black, and two of Paul Tol's:
# told apart by colour-blind readers, on white and on dark paper.
PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#9E6C2F",
    "#7B6FD0",
)

# Text, axes and the small batch's line. The report replaces this colour by
# the page's text colour, so it must not occur otherwise.
INK = "#1f2328"
LARGE_BATCH = "#8b949e"

# What lies behind text on lines: white, and in the report the page's colour.
PAPER = "#fffffe"

STYLE = {
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#8b949e",
    "grid.alpha": 0.25,
    "grid.linewidth": 0.8,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # Text stays text in an SVG: small, selectable, in the reader's font.
    "svg.fonttype": "none",
    "svg.hashsalt": "keras_lbreg",
}


@contextlib.contextmanager
def plot_style():
    """Apply the style inside a `with` block."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def arm_colors(arms):
    """Return `(color, line style)` by arm name.

    The small batch is drawn in ink and the plain large batch in grey. The
    others go through the palette, first solid and then dashed.
    """
    colors = {REFERENCE: (INK, "-"), BASELINE: (LARGE_BATCH, "-")}
    others = [arm["name"] for arm in arms if arm["name"] not in colors]
    for position, name in enumerate(others):
        dashes = ("-", "--", ":")[position // len(PALETTE) % 3]
        colors[name] = (PALETTE[position % len(PALETTE)], dashes)
    return colors


def to_png(figure, dpi=150):
    """Return the figure as the bytes of a PNG file."""
    return _rendered(figure, "png", dpi=dpi)


def to_svg(figure):
    """Return the figure as an `<svg>` element for a page with CSS.

    Its background is transparent, its ink is `currentColor`, and its paper
    is the page's `--paper`.
    """
    text = _rendered(
        figure, "svg", transparent=True, metadata={"Date": None}
    ).decode("utf-8")
    element = text[text.index("<svg") :]
    element = element.replace(INK, "currentColor")
    return element.replace(PAPER, "var(--paper)")


def _rendered(figure, format, **options):
    buffer = io.BytesIO()
    with plot_style():
        figure.savefig(buffer, format=format, **options)
    return buffer.getvalue()
