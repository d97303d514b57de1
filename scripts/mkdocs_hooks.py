"""What MkDocs calls while it builds the site: a page that would load something from the network stops the build."""

from __future__ import annotations

import re
from typing import Any

from mkdocs.exceptions import PluginError

LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*\b(?:src|data)=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*rel=["']?(?:stylesheet|preload|preconnect|icon|modulepreload))"""
    r"""[^>]*href=["']?((?:https?:)?//[^"'\s>]+)|url\(["']?((?:https?:)?//[^"')\s]+)""",
    re.IGNORECASE,
)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse network assets; links that a reader may follow are fine."""
    found = sorted({next(filter(None, m)) for m in LOADED.findall(output)})
    if found:
        raise PluginError(f"{page.file.src_uri} would load {', '.join(found)}; ship the file with the documentation")
    return output
