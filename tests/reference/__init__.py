"""The pages of ``docs/reference``, made from the source.

``python -m tests.reference`` writes them; `test_reference` says when that is due, and fails when a
public name, a log line, a metric, a command, a flag or a setting is on no page or says nothing.
What the source does not say, because it is of no use there, is in ``docs/reference/meanings.toml``.
"""
