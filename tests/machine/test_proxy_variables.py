from __future__ import annotations

import pytest

from orchestrator.machine.proxy_variables import proxy_secrets


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        ("http://ops:s3cret@proxy:3128", {"s3cret", "ops:s3cret", "b3BzOnMzY3JldA=="}),
        ("ops:s3cret@proxy:3128", {"s3cret", "ops:s3cret", "b3BzOnMzY3JldA=="}),
        ("//ops:s3cret@proxy", {"s3cret", "ops:s3cret", "b3BzOnMzY3JldA=="}),
        ("http://ops:p%40s/w@proxy", {"p%40s/w", "p@s/w", "ops:p%40s/w", "ops:p@s/w"}),
        ("socks5://ops:p@ss@proxy", {"p@ss"}),
        ("http:/ops:s3cret@proxy", {"s3cret", "ops:s3cret"}),
        ("http:\\\\ops:s3cret@proxy", {"s3cret", "ops:s3cret"}),
        ("HTTPS:///ops:s3cret@proxy", {"s3cret", "ops:s3cret"}),
        ("http:/pass/word@proxy", {"/pass/word"}),
        ("http://proxy:3128", set()),
        ("http://ops@proxy:3128", set()),
        ("http://tok_abcdef1234567890@proxy:3128", {"tok_abcdef1234567890", "dG9rX2FiY2RlZjEyMzQ1Njc4OTA6"}),
        ("http://tok_abcdef1234567890:@proxy:3128", {"tok_abcdef1234567890"}),
        ("", set()),
    ],
)
def test_a_proxys_password_is_known_by_its_variable(value: str, hidden: set[str]) -> None:
    """As it is written, as it is meant, and in a header's clothes; no other variable is looked at."""
    found = set(proxy_secrets({"HTTPS_PROXY": value, "HOME": "http://a:homesecret@b"}))
    assert hidden <= found
    assert bool(found) == bool(hidden)
    assert set(proxy_secrets({"all_proxy": value})) == found
