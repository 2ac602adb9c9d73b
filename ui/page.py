"""The Gradio page: a drop zone, a gallery of samples and one panel for the answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import gradio as gr

from data.imaging import MAX_FILE_BYTES, SUFFIXES, too_large
from ui.analyse import DISCLAIMER, Analyser, AnalysisError
from ui.panels import IDLE, READING, answer_panel, error_panel
from ui.samples import gallery, load_samples
from ui.uploads import WaitingScans

TITLE: Final = "Brain-tumour classifier"
_HERE: Final = Path(__file__).resolve().parent
_MAX_MESSAGE: Final = 300
Panel = str | dict[str, Any]  # HTML, or Gradio's word for "leave it as it is"

_HEADER: Final = (
    f"<h1>{TITLE}</h1>"
    "<p>Drop one slice of a brain MRI and read what the model makes of it, and how sure it is.</p>"
    f'<p class="disclaimer" role="note">{DISCLAIMER}</p>'
)
_DROP_ZONE: Final = (
    '<label class="drop"><input type="file" aria-label="Choose a scan" '
    f'accept="{",".join((*SUFFIXES, "image/png", "image/jpeg", "image/webp"))}">'
    "<span><strong>Drop a scan here</strong> or choose a file</span>"
    f'<span class="hint">PNG, JPEG or WebP, up to {MAX_FILE_BYTES // 2**20} MB</span></label>'
    '<p class="drop-status" role="status"></p>'
)
_FOOTER: Final = (
    "<p>Files are read in memory and forgotten once answered; nothing is stored or logged. "
    'For programs: <a href="docs">the HTTP API</a>.</p>'
)


def build_page(analyser: Analyser, waiting: WaitingScans) -> gr.Blocks:
    """Build the page.

    Args:
        analyser: answers for the scans.
        waiting: where the upload route leaves what the drop zone sent.
    """
    samples = load_samples()

    def answer_upload(choices: list[float], event: gr.EventData) -> Panel:
        def answer() -> str:
            scan = waiting.take(str(getattr(event, "token", "")))
            return answer_panel(analyser.ask(scan), scan.image)

        return _if_newest(choices, event, answer)

    def answer_sample(choices: list[float], event: gr.EventData) -> Panel:
        def answer() -> str:
            number = getattr(event, "number", None)
            if not isinstance(number, int) or not 0 <= number < len(samples):
                raise AnalysisError(422, "unknown_sample", "There is no such sample.")
            scan = analyser.prepare(samples[number].payload)
            return answer_panel(analyser.ask(scan), scan.image)

        return _if_newest(choices, event, answer)

    def show_refusal(choices: list[float], event: gr.EventData) -> Panel:
        def answer() -> str:
            raise AnalysisError(422, "refused", str(getattr(event, "message", ""))[:_MAX_MESSAGE])

        return _if_newest(choices, event, answer)

    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.HTML(_HEADER, elem_id="header", js_on_load=None)
        with gr.Row(
            elem_id="columns"
        ):  # a grid in page.css, so that a phone shows them in this order
            drop_zone = gr.HTML(
                elem_id="scan",
                html_template=_DROP_ZONE,
                js_on_load=_script("scan_input"),
                max_bytes=MAX_FILE_BYTES,
                too_large=str(too_large()),
                unreachable="The page's server cannot be reached. Check the connection and try again.",
            )
            panel = gr.HTML(
                IDLE, elem_id="answer", js_on_load=_script("answer"), idle=IDLE, reading=READING
            )
            if samples:
                choice = gr.HTML(gallery(samples), elem_id="samples", js_on_load=_script("samples"))
        gr.HTML(_FOOTER, elem_id="footer", js_on_load=None)

        listening: dict[str, Any] = {
            "inputs": gr.State([]),  # when this browser tab made its choices
            "outputs": panel,
            "show_progress": "hidden",  # the panel shows it itself
            "api_visibility": "private",  # programs have POST /
            # Gradio's event stream closes after an answer and loses a choice made at that moment.
            "queue": False,
            "trigger_mode": "multiple",
        }
        drop_zone.scan(answer_upload, **listening)
        drop_zone.refused(show_refusal, **listening)
        if samples:
            choice.sample(answer_sample, **listening)
    return page


def page_options() -> dict[str, Any]:
    """How the page is mounted: own style, system fonts, nothing recorded, none of Gradio's links."""
    theme = gr.themes.Base(
        primary_hue="sky",
        neutral_hue="slate",
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    )
    return {
        "theme": theme,
        "css_paths": _HERE / "page.css",
        "footer_links": [],
        "run_history": False,
        "show_error": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "mcp_server": False,
        "max_file_size": MAX_FILE_BYTES,
    }


def _if_newest(choices: list[float], event: gr.EventData, answer: Callable[[], str]) -> Panel:
    """The panel for a choice, or no change if the same browser tab has made a newer one meanwhile.

    Runs of a tab overlap and may start in any order; `choices` are the times, on the browser's clock,
    of those that have started.
    """
    made = float(getattr(event, "at", 0.0))
    choices.append(made)
    try:
        panel = answer()
    except AnalysisError as error:
        panel = error_panel(error)
    return panel if made == max(choices) else gr.skip()


def _script(name: str) -> str:
    return (_HERE / f"{name}.js").read_text(encoding="utf-8")
