"""`/docs`: the API's documentation, rendered here because Swagger's page loads itself from a CDN."""

import json
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
    if rows := _inputs(operation):
        parts.append(_table(("Input", "In", "Type", "Meaning"), rows))
    responses = sorted(operation["responses"].items())
    answers = [
        (status, response["description"], _contents(response)) for status, response in responses
    ]
    parts.append(_table(("Status", "Meaning", "Body"), answers))
    for status, response in responses:
        if status == "200":
            parts.extend(_example(kind, of) for kind, of in response.get("content", {}).items())
    return "".join(parts)


def _inputs(operation: dict[str, Any]) -> list[tuple[str, ...]]:
    """Parameters, and the fields of the body's form."""
    rows: list[tuple[str, ...]] = [
        (one["name"], one["in"], _type(one["schema"]), one.get("description", ""))
        for one in operation.get("parameters", ())
    ]
    for kind, of in operation.get("requestBody", {}).get("content", {}).items():
        for name, schema in of["schema"].get("properties", {}).items():
            most = f", at most {schema['maxItems']}" if "maxItems" in schema else ""
            rows.append((name, kind, _type(schema) + most, "required"))
    return rows


def _contents(response: dict[str, Any]) -> str:
    """What bodies an answer may have."""
    return "; ".join(
        f"{_type(of.get('x-line-schema', of.get('schema', {})))} ({kind})"
        for kind, of in response.get("content", {}).items()
    )


def _example(kind: str, of: dict[str, Any]) -> str:
    """The example of a body, with what its schema says of it."""
    if "example" not in of:
        return ""
    said = of.get("schema", {}).get("description", "")
    text = of["example"] if isinstance(of["example"], str) else json.dumps(of["example"], indent=2)
    return f"<p><code>{escape(kind)}</code> {_prose(said)}</p><pre>{escape(text)}</pre>"


def _schema(name: str, schema: dict[str, Any]) -> str:
    heading = f'<h3 id="{escape(name)}"><code>{escape(name)}</code></h3>'
    heading += f"<p>{_prose(schema.get('description', ''))}</p>"
    if "enum" in schema:
        return heading + f"<p><code>{escape(' | '.join(schema['enum']))}</code></p>"
    if "oneOf" in schema:
        return heading + f"<p>{escape(_type(schema))}</p>"
    rows = [
        (field, _type(of), of.get("description", ""), ", ".join(map(str, of.get("examples", ()))))
        for field, of in schema.get("properties", {}).items()
    ]
    return heading + _table(("Field", "Type", "Meaning", "Example"), rows)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "const" in schema:
        return json.dumps(schema["const"])
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type(one) for one in several)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("format") == "binary":
        return "file"
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
