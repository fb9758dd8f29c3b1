"""Our browser modules as one script: report.html is one file, and an inlined module cannot import another.

Each module becomes a function that is called once, in the order in which they import each other, and whose value is what it
exports. Of the language's ways to import and export it knows the two that our modules use: `import { a, b } from "./x.js";` and
`export` before a function, class, `const` or `let`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w.-]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:function|class|const|let) (\w+))", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


@cache
def bundled(directory: Path, entry: str) -> str:
    """The module *entry* of *directory*, with those that it imports, as one script without imports.

    Raises:
        ValueError: A module imports or exports in another way.
    """
    done: dict[str, str] = {}
    _add(directory, entry, done)
    return '"use strict";\n(() => {\nconst modules = {};\n' + "".join(done.values()) + "})();\n"


def _add(directory: Path, name: str, done: dict[str, str]) -> None:
    if name in done:
        return
    text = (directory / name).read_text(encoding="utf-8")
    for _, other in _IMPORT.findall(text):
        _add(directory, other, done)
    exports = ", ".join(_EXPORT.findall(text))
    text = _EXPORT.sub("", _IMPORT.sub(r'const {\1} = modules["\2"];', text))
    if strange := _OTHER.search(text):
        raise ValueError(f"{name}: cannot be bundled: {strange[0]}")
    done[name] = f'modules["{name}"] = (() => {{\n{text}return {{ {exports} }};\n}})();\n'
