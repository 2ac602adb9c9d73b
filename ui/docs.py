"""`/docs`: the API's documentation, rendered here because Swagger's page loads itself from a CDN."""

import re
from collections.abc import Sequence
from html import escape
from typing import Any, Final

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 52rem; margin: 0 auto; padding: 2rem 1rem; }
h2 { margin-top: 2.5rem; font-size: 1.15rem; } h3 { margin: 1.4rem 0 .4rem; font-size: 1rem; }
code, pre { font: .88rem/1.5 ui-monospace, monospace; }
pre { background: var(--soft); padding: .8rem 1rem; border-radius: 8px; overflow-x: auto; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0;
  border-bottom: 1px solid var(--line); }
"""


def docs_page(spec: dict[str, Any]) -> str:
    """One HTML page, no script, no request to anywhere.

    Args:
        spec: what `/openapi.json` answers.
    """
    info = spec["info"]
    body = [f"<h1>{escape(info['title'])}</h1>", f"<p>{escape(info['description'])}</p>"]
    body.append('<p>Machine-readable: <a href="openapi.json">openapi.json</a></p>')
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            body.append(_operation(path, method, operation))
    body.append("<h2>Objects</h2>")
    for name, schema in spec["components"]["schemas"].items():
        body.append(_schema(name, schema))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [
        f"<h2><code>{method.upper()} {escape(path)}</code> {escape(operation['summary'])}</h2>"
    ]
    parts.append(f"<p>{_prose(operation.get('description', ''))}</p>")
    for sample in operation.get("x-codeSamples", ()):
        parts.append(f"<pre>{escape(sample['source'])}</pre>")
    rows = [
        (status, response["description"], _reference(response))
        for status, response in sorted(operation["responses"].items())
    ]
    parts.append(_table(("Status", "Meaning", "Body"), rows))
    return "".join(parts)


def _reference(response: dict[str, Any]) -> str:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return _type(schema) if schema else ""


def _schema(name: str, schema: dict[str, Any]) -> str:
    heading = f'<h3 id="{escape(name)}"><code>{escape(name)}</code></h3>'
    heading += f"<p>{_prose(schema.get('description', ''))}</p>"
    if "enum" in schema:
        return heading + f"<p><code>{escape(' | '.join(schema['enum']))}</code></p>"
    rows = [
        (field, _type(of), of.get("description", ""), ", ".join(map(str, of.get("examples", ()))))
        for field, of in schema.get("properties", {}).items()
    ]
    return heading + _table(("Field", "Type", "Meaning", "Example"), rows)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "additionalProperties" in schema and isinstance(schema["additionalProperties"], dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return str(schema.get("type", ""))


def _prose(text: str) -> str:
    """Escaped, with `names` set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    def cells(tag: str, values: tuple[str, ...]) -> str:
        return "<tr>" + "".join(f"<{tag}>{_prose(value)}</{tag}>" for value in values) + "</tr>"

    body = "".join(cells("td", row) for row in rows)
    return f'<div class="wide"><table>{cells("th", head)}{body}</table></div>'
