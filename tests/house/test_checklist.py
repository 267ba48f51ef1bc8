"""Each of the hundred tests that go beyond the official suite is there, and says which it is — openid-provider §12."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
_CITED = re.compile(r'§12[^\n"]{0,80}|"""[Nn]os?\. [^\n"]{0,60}')
"""As the docstrings of tests cite them; the numbers of other lists are not meant."""
_NUMBERS = re.compile(r"(\d{1,3})(?:[–-](\d{1,3}))?")


def test_every_row_of_the_checklist_is_cited_by_a_test() -> None:
    cited: set[int] = set()
    for file in TESTS.rglob("test_*.py"):
        for reference in _CITED.findall(file.read_text("utf-8")):
            for first, last in _NUMBERS.findall(reference.replace("§12", "")):
                cited |= set(range(int(first), int(last or first) + 1))
    assert [number for number in range(1, 101) if number not in cited] == []
