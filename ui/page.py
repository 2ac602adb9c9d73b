"""The Gradio page: three tabs, each of them filled by a module of `assets/` that talks to the API."""

from pathlib import Path
from typing import Any, Final

import gradio as gr

from ui.uploads import MAX_REQUEST_BYTES

TITLE: Final = "Brain-tumour classifier"
ASSETS: Final = Path(__file__).resolve().parent / "assets"
STYLES: Final = ("page.css", "scan.css", "many.css", "volume.css", "model.css")


def build_page() -> gr.Blocks:
    """Build the page."""
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        _mount("header")
        with gr.Tabs(elem_id="tabs"):
            for name in ("analyse", "model", "api"):
                # The panel's id: without it Gradio's tabs point to a panel that is not there.
                with gr.Tab(name.capitalize(), id=name, elem_id=f"{name}_panel"):
                    _mount(f"{name}_tab")
        _mount("footer")
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
        "css_paths": [ASSETS / name for name in STYLES],
        "head": _head(),
        "footer_links": [],
        "run_history": False,
        "show_error": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "mcp_server": False,
        "max_file_size": MAX_REQUEST_BYTES,
    }


def _head() -> str:
    """Have the browser fetch the modules while Gradio still starts, and print by a sheet of its own.

    Gradio puts its own selectors before those of `css_paths`, which the print sheet must not have: it
    speaks of what is outside of them.
    """
    modules = sorted(path.name for path in ASSETS.glob("*.js"))
    links = [f'<link rel="modulepreload" href="page/assets/{name}">' for name in modules]
    return "".join([*links, '<link rel="stylesheet" media="print" href="page/assets/print.css">'])


def _mount(module: str) -> None:
    """A part of the page that the module's `mount(element)` fills."""
    gr.HTML(
        f'<div class="part" data-part="{module}"></div>',
        elem_id=module,
        js_on_load=(
            f'import(new URL("page/assets/{module}.js", document.baseURI))'
            ".then((module) => module.mount(element.querySelector('.part')));"
        ),
    )
