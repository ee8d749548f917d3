"""Bytes and the messages they stand for.  Pure: no clock, no socket, no randomness.

Every parser returns or raises `RemoteProtocolError`, in bounded time and memory, for any
bytes; every writer returns or raises `LocalProtocolError`.
"""
