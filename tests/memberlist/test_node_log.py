"""The log of a node: safe to show, and limited in rate."""

import trio

from trioserf._memberlist.drop_log import DropLog
from trioserf._memberlist.node_log import _MAX_KINDS, node_log

HOSTILE = "web\n1: forged line\x1b[31m\u202e" + "x" * 1_000_000


async def test_what_a_peer_gave_forges_no_line_and_fills_no_log(autojump_clock, caplog):
    log = node_log("memberlist", "n1")
    log.warning("%s joined: %r", HOSTILE, HOSTILE)
    log.error("%s", f"reply of {HOSTILE} for a query")
    log.warning("push/pull failed: %s", ValueError(HOSTILE))
    for record in caplog.records:
        text = record.getMessage()
        assert text.isprintable()
        assert len(text) < 800
    assert caplog.records[0].getMessage().startswith(r"n1: web\n1: forged line\x1b[31m\u202e")


async def test_the_text_of_a_logged_exception_is_cut_and_printable(autojump_clock, caplog):
    log = DropLog(node_log("memberlist", "n1"))
    try:
        raise ValueError(HOSTILE)
    except ValueError as error:
        log.crash("handler", HOSTILE, error)
    (record,) = caplog.records
    _, error, traceback = record.exc_info
    assert str(error).startswith("ValueError: web\\n1: forged line")
    assert len(str(error)) < 3000
    assert traceback is not None


async def test_numbers_keep_their_formats_and_the_caller_is_named(autojump_clock, caplog):
    node_log("memberlist", "100% sure").warning("%s took %.1f s, %d times", "x", 1.25, 3)
    (record,) = caplog.records
    assert "100% sure: x took 1.2 s, 3 times" == record.getMessage()
    assert "test_node_log.py" == record.filename


async def test_each_kind_of_line_is_rate_limited(autojump_clock, caplog):
    log = node_log("serf", "n1")
    for number in range(1000):
        log.warning("%s", f"reply of peer{number} for a query that is not open")
    assert 20 == len(caplog.records)
    log.warning("%s", "Another kind is written all the same")
    assert 21 == len(caplog.records)
    await trio.sleep(2)
    log.warning("%s", "reply of peer1000 for a query that is not open")
    assert caplog.records[-1].getMessage().endswith("open [and 980 such lines since the last one]")
    for number in range(1000):
        log.error("cannot probe %s", f"peer{number}")
    assert 42 == len(caplog.records)


async def test_a_long_line_counts_as_several(autojump_clock, caplog):
    log = node_log("test", "n1")
    with caplog.at_level("INFO"):
        for number in range(200):
            log.info("%s at %s joined", f"{number:08}" + "x" * 1000, "10.0.0.1:7946")
    assert 32 <= len(caplog.records) <= 35


def test_outside_of_trio_every_line_is_written(caplog):
    log = node_log("serf", "n1")
    for number in range(100):
        log.warning("line %d", number)
    assert 100 == len(caplog.records)


async def test_lines_whose_first_word_a_peer_chose_are_remembered_up_to_a_bound(
    autojump_clock, caplog
):
    caplog.set_level("INFO")
    log = node_log("memberlist", "n1")
    for number in range(10 * _MAX_KINDS):
        log.info("%s", f"peer{number} said so")
    assert 10 * _MAX_KINDS == len(caplog.records)
    assert len(log._allowances) <= _MAX_KINDS
