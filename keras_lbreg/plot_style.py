"""The look that all plots share, and the files they end in."""

import dataclasses
import io
import math
from collections.abc import Callable

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

# Text, axes and the small batch's line. A page replaces this colour by its
# text colour, so it must not occur otherwise.
INK = "#1f2328"
GREY = "#8b949e"

# Inches. A page shows a panel this wide on a telephone, and two side by side
# on a desk.
PANEL_WIDTH = 5.0
PANEL_HEIGHT = 3.6

# Panels side by side in a file.
ROW = 3

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
    "grid.color": GREY,
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


def plot_style():
    """Applies the style inside a `with` block."""
    import matplotlib

    return matplotlib.rc_context(STYLE)


def new_figure(width=PANEL_WIDTH, height=PANEL_HEIGHT):
    """An empty figure, its size in inches."""
    # Not pyplot: no window, no global list of figures.
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def log_axis(axis, which="x"):
    """Make an axis logarithmic, with plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    getattr(axis, f"set_{which}scale")("log")
    low, high = getattr(axis, f"get_{which}lim")()
    # Two decades and less need more than their powers of ten.
    steps = (1, 2, 5) if high < 100 * low else (1,)
    scale = getattr(axis, f"{which}axis")
    scale.set_major_locator(LogLocator(subs=steps))
    scale.set_major_formatter(lambda x, _: f"{x:,.10g}")
    scale.set_minor_formatter(NullFormatter())


def above_axis(axis, x, text, points, **style):
    """Writes a text above a place of the x axis."""
    coordinates = (("data", "axes fraction"), "offset points")
    axis.annotate(text, (x, 1), (0, points), *coordinates, **style)


def to_png(figure):
    """The figure as the bytes of a PNG file."""
    return rendered(figure, "png", dpi=150)


def to_svg(figure):
    """The figure as a transparent `<svg>` whose ink is `currentColor`."""
    metadata = {"Date": None}
    image = rendered(figure, "svg", transparent=True, metadata=metadata)
    _, start, rest = image.decode("utf-8").partition("<svg")
    return (start + rest).replace(INK, "currentColor")


def rendered(figure, format, **options):
    buffer = io.BytesIO()
    with plot_style():
        figure.savefig(buffer, format=format, **options)
    return buffer.getvalue()


@dataclasses.dataclass(frozen=True)
class Panel:
    """One axis: its title, what draws it, and its height in inches."""

    title: str
    draw: Callable
    height: float

    def draw_on(self, axis):
        axis.set_title(self.title)
        self.draw(axis)


@dataclasses.dataclass(frozen=True)
class Plot:
    """A figure of a report, with its words.

    `name` is the stem of its file name, `setting` what a picture without its
    page needs to be understood, `caption` how to read it, if its page does not
    say so.
    """

    name: str
    title: str
    panels: tuple
    setting: str
    caption: str = ""

    def figure(self):
        """All panels, `ROW` side by side, a `matplotlib.figure.Figure`."""
        columns = min(len(self.panels), ROW)
        rows = math.ceil(len(self.panels) / columns)
        with plot_style():
            height = rows * max(panel.height for panel in self.panels)
            width = PANEL_WIDTH * max(columns, 1.3)
            figure = new_figure(width, height + 0.3)
            axes = figure.subplots(rows, columns, squeeze=False).flat
            for axis, panel in zip(axes, self.panels, strict=False):
                panel.draw_on(axis)
            for axis in axes[len(self.panels) :]:
                axis.set_axis_off()
            figure.suptitle(self.setting, x=0.01, ha="left", fontsize=11)
        return figure

    def png(self):
        """The bytes of a PNG file."""
        return to_png(self.figure())

    def svgs(self):
        """One `<svg>` a panel: a page sets them side by side or not."""
        elements = []
        with plot_style():
            for panel in self.panels:
                figure = new_figure(PANEL_WIDTH, panel.height)
                panel.draw_on(figure.subplots())
                elements.append(to_svg(figure))
        return elements
