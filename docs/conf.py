"""How Sphinx builds these pages: `sphinx-build -W --keep-going docs OUT`; offline."""

import re
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
_OUTSIDE = re.compile(r"\[([^\]]*)\]\((\.\./[^)]*)\)")

project = "medfs"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["consumers"]
html_theme = "alabaster"
html_theme_options = {"description": "Research use only", "fixed_sidebar": True}
html_static_path: list[str] = []
# Headings can be linked to as on code hosts.
myst_heading_anchors = 3
# In docstrings a name in single backticks is code.
default_role = "literal"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"


def _link(match: "re.Match[str]") -> str:
    """Its words alone, if the file exists; as it is, and so with a warning, if not."""
    words, target = match.groups()
    return words if (ROOT / "docs" / target.split("#")[0]).exists() else match.group()


def _read(_: Sphinx, __: str, source: list[str]) -> None:
    """Links to files beside these pages lead somewhere in the repository alone."""
    source[0] = _OUTSIDE.sub(_link, source[0])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _read)
