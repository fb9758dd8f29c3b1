"""Makes `orchestrator/text/confusables.py` anew: Unicode's characters that look alike, as the ICU library on this machine knows them.

    python docs/confusables.py         (Debian: apt-get install libicu-dev; ICU 72 knows Unicode 15.0)

A newer Unicode adds a few; nothing depends on its version.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import re
import textwrap
import unicodedata
from collections.abc import Callable
from pathlib import Path

MODULE = Path(__file__).resolve().parents[1] / "orchestrator" / "text" / "confusables.py"
PLANES = (*range(0x20, 0xD800), *range(0xE000, 0x40000))
WIDTH = 112


def icu_skeleton() -> tuple[Callable[[str], str], str]:
    """The skeleton of UTS 39 by ICU, and the version of Unicode that it knows."""
    found = ctypes.util.find_library("icui18n")
    if found is None:
        raise SystemExit("ICU is not installed here: apt-get install libicu-dev")
    version = re.sub(r"\D", "", found.rpartition(".so")[2])
    icu, common = ctypes.CDLL(found), ctypes.CDLL(found.replace("i18n", "uc"))
    failed = ctypes.c_int(0)
    opened = getattr(icu, f"uspoof_open_{version}")
    opened.restype = ctypes.c_void_p
    checker = ctypes.c_void_p(opened(ctypes.byref(failed)))
    room = ctypes.create_string_buffer(1000)
    of_utf8 = getattr(icu, f"uspoof_getSkeletonUTF8_{version}")

    def skeleton(text: str) -> str:
        data = text.encode()
        length = of_utf8(checker, 0, data, len(data), room, len(room), ctypes.byref(failed))
        if failed.value > 0:
            raise SystemExit(f"ICU failed with error {failed.value}")
        return room.raw[:length].decode()

    numbers = (ctypes.c_uint8 * 4)()
    getattr(common, f"u_getUnicodeVersion_{version}")(numbers)
    return skeleton, f"{numbers[0]}.{numbers[1]}"


def main() -> None:
    """Write the module, with each character once that its compatibility decomposition leaves as it is: the others are decomposed before."""
    skeleton, version = icu_skeleton()
    sources: dict[str, list[str]] = {}
    for character in map(chr, PLANES):
        if unicodedata.normalize("NFKD", character) == character and (target := skeleton(character)) != character:
            sources.setdefault(target, []).append(character)
    entries = (
        ".".join(f"{ord(c):X}" for c in target) + "=" + ",".join(f"{ord(c):X}" for c in alike)
        for target, alike in sorted(sources.items())
    )
    lines = textwrap.wrap(" ".join(entries), WIDTH, break_long_words=False, break_on_hyphens=False)
    before, mark, _ = MODULE.read_text(encoding="utf-8").partition('UNICODE = "')
    MODULE.write_text(
        before + f'{mark}{version}"\n"""The version of Unicode that they are of."""\n\n_TABLE = """\n' + "\n".join(lines) + '\n"""\n',
        encoding="utf-8",
    )  # fmt: skip


if __name__ == "__main__":
    main()
