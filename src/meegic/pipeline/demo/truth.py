"""The demo's last step as long as no stage looks for the sources: the truth itself."""

from meegic.figures.style import render_png
from meegic.figures.truth import plot_conditions, plot_truth
from meegic.pipeline.demo.state import Demo
from meegic.pipeline.report import Section, embed


def show_truth(demo: Demo) -> None:
    """Draw the mixing conditions, the events and the sources."""
    raw, truth = demo.raw, demo.truth
    pictures = [
        ("Mixing conditions and events.", render_png(lambda: plot_conditions(truth)))
    ]
    for model in range(truth.n_models):
        png = render_png(lambda model=model: plot_truth(raw, truth, model=model))
        pictures.append((f"Sources in condition {model}.", png))
    demo.sections.append(
        Section(
            "Truth",
            f"{len(truth.kinds)} sources in {truth.n_models} mixing conditions: the "
            "artifacts stay, the brain sources move.",
            pictures=tuple((caption, embed(png)) for caption, png in pictures),
        )
    )
