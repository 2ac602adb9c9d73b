"""The Gradio page: a drop zone, a gallery of samples and one panel for the answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import gradio as gr

from data.imaging import MAX_FILE_BYTES, SUFFIXES, too_large
from ui.analyse import DISCLAIMER, Analyser, AnalysisError, PreparedScan
from ui.panels import IDLE, answer_panel, busy_panel, error_panel
from ui.samples import gallery, load_samples
from ui.uploads import WaitingScans

TITLE: Final = "Brain-tumour classifier"
CONCURRENT_ANALYSES: Final = 8
QUEUE_LENGTH: Final = 64
_HERE: Final = Path(__file__).resolve().parent
_MAX_MESSAGE: Final = 300

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

    def answer_upload(event: gr.EventData) -> Iterator[str]:
        try:
            scan = waiting.take(str(getattr(event, "token", "")))
        except AnalysisError as error:
            yield error_panel(error)
            return
        yield from _answer(analyser, scan)

    def answer_sample(event: gr.EventData) -> Iterator[str]:
        number = getattr(event, "number", None)
        if not isinstance(number, int) or not 0 <= number < len(samples):
            yield error_panel(AnalysisError(422, "unknown_sample", "There is no such sample."))
            return
        yield from _answer(analyser, analyser.prepare(samples[number].payload))

    def show_refusal(event: gr.EventData) -> Iterator[str]:
        message = str(getattr(event, "message", ""))[:_MAX_MESSAGE]
        yield IDLE  # the same refusal twice is no change of value, and would leave the panel dimmed
        yield error_panel(AnalysisError(422, "refused", message))

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
            panel = gr.HTML(IDLE, elem_id="answer", js_on_load=_script("answer"))
            if samples:
                choice = gr.HTML(gallery(samples), elem_id="samples", js_on_load=_script("samples"))
        gr.HTML(_FOOTER, elem_id="footer", js_on_load=None)

        listening: dict[str, Any] = {
            "outputs": panel,
            "show_progress": "hidden",  # the panel shows it itself
            "api_visibility": "private",  # programs have POST /
            "trigger_mode": "always_last",
            "concurrency_limit": CONCURRENT_ANALYSES,
        }
        drop_zone.scan(answer_upload, **listening)
        drop_zone.refused(show_refusal, **listening)
        if samples:
            choice.sample(answer_sample, **listening)
    return page.queue(max_size=QUEUE_LENGTH)


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


def _answer(analyser: Analyser, scan: PreparedScan) -> Iterator[str]:
    yield busy_panel(scan.image)
    try:
        yield answer_panel(analyser.ask(scan), scan.image)
    except AnalysisError as error:
        yield error_panel(error)


def _script(name: str) -> str:
    return (_HERE / f"{name}.js").read_text(encoding="utf-8")
