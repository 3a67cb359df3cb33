"""The documentation page: plain HTML from the OpenAPI document.

The usual viewers load a script of a megabyte, many from another host, and need inline styles,
which our content policy forbids. A list of addresses, parameters and errors needs none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from server.problems import KINDS

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>srnet: the interface</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs.css">
</head>
<body>
<main>
<h1>srnet: the interface</h1>
"""


def page(document: Mapping[str, Any]) -> str:
    """The HTML page for an OpenAPI document."""
    return _HEAD + "\n".join(_parts(document)) + "\n</main>\n</body>\n</html>\n"


def _parts(document: Mapping[str, Any]) -> Iterator[str]:
    yield f"<p>{_text(document['info']['description'])}</p>"
    yield '<p><a href="openapi.json">OpenAPI document</a> · <a href="./">The page</a></p>'
    for path, operations in document["paths"].items():
        methods: dict[str, list[str]] = {}  # of one summary: they do the same
        for method, operation in operations.items():
            methods.setdefault(operation["summary"], []).append(method)
        for method, *others in methods.values():
            operation = operations[method]
            also = "".join(f" or <code>{other.upper()}</code>" for other in others)
            yield f"<section><h2><code>{method.upper()} {escape(path)}</code>{also}</h2>"
            yield f"<p><strong>{escape(operation['summary'])}.</strong> "
            yield f"{_text(operation.get('description', ''))}</p>"
            yield from _parameters(operation.get("parameters", []))
            yield from _body(operation.get("requestBody"))
            yield from _responses(operation["responses"])
            yield "</section>"
    yield "<section><h2>Errors</h2><p>Each is <code>application/problem+json</code> (RFC 9457)."
    yield "Its <code>type</code> is <code>/docs#</code> and its kind.</p>"
    rows = (
        f'<tr id="{kind}"><td><code>{kind}</code></td><td>{status}</td>'
        f"<td>{escape(title)}</td></tr>"
        for kind, (status, title) in KINDS.items()
    )
    yield _table(("kind", "status", "meaning"), rows) + "</section>"


def _parameters(parameters: list[Mapping[str, Any]]) -> Iterator[str]:
    if parameters:
        rows = (
            f"<tr><td><code>{escape(p['name'])}</code></td><td>{p['in']}</td>"
            f"<td>{escape(_kind(p['schema']))}</td><td>{_text(p.get('description', ''))}</td></tr>"
            for p in parameters
        )
        yield _table(("parameter", "in", "values", "meaning"), rows)


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "anyOf" in schema:
        return " or ".join(_kind(s) for s in schema["anyOf"] if s.get("type") != "null")
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    words = str(schema.get("type", ""))
    if "minimum" in schema:
        words += f" {schema['minimum']:.9g} to {schema['maximum']:.9g}"
    return words


def _body(body: Mapping[str, Any] | None) -> Iterator[str]:
    if body:
        kinds = ", ".join(f"<code>{escape(kind)}</code>" for kind in body["content"])
        yield f"<p>Body: {_text(body['description'])} As {kinds}.</p>"


def _responses(responses: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    rows = []
    for status, response in responses.items():
        headers = ", ".join(f"<code>{escape(h)}</code>" for h in response.get("headers", {}))
        rows.append(
            f"<tr><td>{status}</td><td>{_text(response['description'])}</td><td>{headers}</td></tr>"
        )
    yield _table(("status", "meaning", "headers"), iter(rows))


def _table(titles: tuple[str, ...], rows: Iterator[str]) -> str:
    head = "".join(f"<th>{title}</th>" for title in titles)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _text(words: str) -> str:
    """Escaped, with `code` marked."""
    pieces = escape(words).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(pieces))
