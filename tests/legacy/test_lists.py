"""Lists a page at a time — whmcs-api §3.5, §3.6."""

import pytest

from bridge.database.search import Page, Span
from bridge.legacy.lists import SPAN, counters, day, moment, span_of
from bridge.legacy.params import of_mapping


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, Span(start=0, limit=25)),
        ({"limitstart": "10", "limitnum": "5"}, Span(start=10, limit=5)),
        ({"limitnum": "0"}, Span(limit=25)),
        ({"limitnum": "-1", "limitstart": "-5"}, Span(start=0, limit=25)),
        ({"limitnum": "many", "limitstart": "undefined", "sorting": "null"}, Span(start=0, limit=25)),
        ({"sorting": "DESC"}, Span(descending=True)),
        ({"sorting": " desc "}, Span(descending=True)),
        ({"sorting": "ASC"}, Span()),
        ({"sorting": "sideways"}, Span()),
        ({"limitstart": "3", "limitnum": "7", "sorting": "desc"}, Span(start=3, limit=7, descending=True)),
    ],
)
def test_what_makes_no_sense_is_the_documented_default(given: dict[str, str], wanted: Span) -> None:
    assert span_of(of_mapping(given)) == wanted
    assert given.keys() <= SPAN


def test_the_counters_are_numbers_in_the_documented_order() -> None:
    page = Page(items=["a", "b"], total=12, start=10)
    assert list(counters(page).items()) == [("totalresults", 12), ("startnumber", 10), ("numreturned", 2)]


def test_times_are_in_utc() -> None:
    assert moment(1_608_046_189) == "2020-12-15 15:29:49"
    assert day(1_608_046_189) == "2020-12-15"
