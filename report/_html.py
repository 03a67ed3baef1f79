"""Write one self-contained HTML page from a template, whole or not at all."""

import base64
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from contracts.terminal import count
from report._corpus_plots import worst
from report._run import anchor
from report._traits import coefficient_ends
from report._words import ends, percent, short_names, told

HERE = Path(__file__).resolve().parent


def render_html(template: str, scripts: Sequence[str], **facts: object) -> str:
    """Return a page that opens without a network; see ``write_html``."""
    script = "".join((HERE / name).read_text(encoding="utf-8") for name in scripts)
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
            script=Markup(script),
            script_hash=_digest(script),
            **facts,
        )
    )


def write_html(
    template: str, out: Path, scripts: Sequence[str] = ("page.js",), **facts: object
) -> Path:
    """Write a page that opens without a network.

    Args:
        template: file in this folder that extends ``_base.html.j2``
        out: the file; its folder is made where it is not there
        scripts: files in this folder that the page runs
        facts: what the template shows

    Returns:
        ``out``
    """
    return write_whole(render_html(template, scripts, **facts), out)


def write_whole(html: str, out: Path) -> Path:
    """Write a page so that a reader finds all of it or the one before; return it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(f".{out.name}.tmp-{os.getpid()}")
    aside.write_text(html, encoding="utf-8")
    aside.replace(out)
    return out


def _digest(script: str) -> str:
    """Name the page's own script, so that a browser runs no other."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (
        percent,
        ends,
        coefficient_ends,
        told,
        count,
        anchor,
        short_names,
        worst,
    )
    environment.filters |= {f.__name__: f for f in filters}
    return environment
