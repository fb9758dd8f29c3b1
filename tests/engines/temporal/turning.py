"""The command line, whose runs go on with an empty history after so few events that small nights do so, too.

python -m tests.engines.temporal.turning EVENTS run ...
"""

from __future__ import annotations

import sys
from functools import partial

from orchestrator.__main__ import main
from orchestrator.engines.temporal import forms, workflows

if __name__ == "__main__":
    assert workflows.SERVED  # they are loaded, and know the class itself
    forms.Order = partial(forms.Order, turn_after=int(sys.argv.pop(1)))  # type: ignore[misc,assignment]
    main()
