"""What an error says, without the requests that it names. Pure.

`reason` in `reports/assets/words.js` is the same for browsers; a test holds them together.
"""

from __future__ import annotations

import re

_REQUEST = r"\b(?:GET|PUT|POST|PATCH|DELETE) /[^\s:,;)]*"
_NAMED = re.compile(rf"{_REQUEST}(?:: )?")
_LEFT_EMPTY = re.compile(r"\s*\(\s*\)")


def reason(message: str) -> str:
    """*message* without requests: `GET /api/…: no answer` is `no answer`, which a narrow line has room for; itself where nothing would be left."""
    return _LEFT_EMPTY.sub("", _NAMED.sub("", message)).strip() or message
