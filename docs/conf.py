"""How the site is built: ``bash .ci/docs``, or ``python -m sphinx -W docs build/site``.

Nothing is fetched while it is built, and the notebooks are shown with the outputs that they were
committed with.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE / "_ext"))
sys.path.insert(0, str(ROOT))

import trioserf  # noqa: E402 - the checkout's, whatever is installed

# Sphinx takes only what is below its own folder; `notebooks/` is where their tests and readers are.
for notebook in (ROOT / "notebooks").glob("*.ipynb"):
    shutil.copyfile(notebook, HERE / "notebooks" / notebook.name)

project = "trioserf"
author = "The trioserf maintainers"
project_copyright = author
version = release = trioserf.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_ext", "**/.ipynb_checkpoints"]
needs_sphinx = "9.0"

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline", "substitution"]
myst_heading_anchors = 4
nb_execution_mode = "off"
nb_render_markdown_format = "myst"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
# A word in an annotation may be the name of two classes: `Serf` is one on Trio, and one on asyncio.
suppress_warnings = ["ref.python"]
default_role = "py:obj"  # docstrings say `Serf.join` where others would need :meth:`...`

copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

html_theme = "furo"
html_title = f"trioserf {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False


def as_block(
    _app: object, _what: str, _name: str, obj: object, _options: object, signature: str, gives: str
) -> tuple[str, str] | None:
    """What ``@asynccontextmanager`` made is no iterator to its reader: show what it is."""
    for generator, block in (
        ("AsyncIterator[", "AbstractAsyncContextManager["),
        ("AsyncGenerator[", "AbstractAsyncContextManager["),
        ("Iterator[", "AbstractContextManager["),
    ):
        if hasattr(obj, "__wrapped__") and gives and gives.startswith(generator):
            return signature, block + gives.removeprefix(generator).replace(", None]", "]")
    return None


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-signature", as_block)
