"""Events on disk: the journal, its schema, its writer, its marks, and the locks."""

from __future__ import annotations
