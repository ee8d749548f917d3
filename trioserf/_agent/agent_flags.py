"""The flags of ``trioserf agent``: Go's, and a few of its own.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/command.go, readConfig; ``-mdns-iface`` and
what follows it: hashicorp/serf main.
"""

from __future__ import annotations

from .._wire.rpc_address import DEFAULT_ADDRESS
from .flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_PROFILES = ("lan", "wan", "local")
_LEVELS = ("trace", "debug", "info", "warn", "err")

AGENT_FLAGS: Final = (
    Flag("node", "text", "name of this node; default: that of the host", "NAME"),
    Flag("bind", "text", "listen here for gossip; port 7946", "HOST:PORT"),
    Flag("advertise", "text", "what others shall use instead", "HOST:PORT"),
    Flag("iface", "text", "interface to bind to, and for mDNS", "NAME"),
    Flag("rpc-addr", "text", f"RPC; default: {DEFAULT_ADDRESS}", "HOST:PORT"),
    Flag("http-addr", "text", "health and metrics, on loopback", "HOST:PORT", beyond_go=True),
    Flag("config-file", "list", "file of settings, in JSON", "FILE", complete="file"),
    Flag(
        "config-dir",
        "list",
        "folder of such files: *.json",
        "FOLDER",
        complete="folder",
        joins="config-file",
    ),
    Flag("join", "list", "join there, or end", "HOST:PORT"),
    Flag("retry-join", "list", "the same, again and again", "HOST:PORT"),
    Flag("retry-interval", "text", "time between two tries; default: 30s", "TIME"),
    Flag("retry-max", "int", "further tries before it ends; 0: for ever", "N"),
    Flag("replay", "bool", "receive events of the past when joining"),
    Flag("discover", "text", "find others of this cluster by mDNS", "CLUSTER"),
    Flag("mdns-iface", "text", "interface for mDNS", "NAME"),
    Flag("mdns-disable-ipv4", "bool", "mDNS without IPv4"),
    Flag("mdns-disable-ipv6", "bool", "mDNS without IPv6"),
    Flag("tag", "list", "tag of this node", "KEY=VALUE"),
    Flag("tags-file", "text", "file that keeps changed tags", "FILE", complete="file"),
    Flag("role", "text", "the tag role, as of old", "ROLE"),
    Flag("event-handler", "list", "command to run on events", "[EVENTS=]COMMAND"),
    Flag("encrypt", "text", "better in a file of settings", "KEY", secret=True),
    Flag("keyring-file", "text", "file of keys, as rotated", "FILE", complete="file"),
    Flag("snapshot", "text", "file that remembers the cluster", "FILE", complete="file"),
    Flag("rejoin", "bool", "use the snapshot even after a leave"),
    Flag("profile", "text", "timing: lan, wan, local", "NAME", choices=_PROFILES),
    Flag("protocol", "int", "protocol version: 2 to 5", "N", default=-1),
    Flag("broadcast-timeout", "text", "for leaves and tags; default: 5s", "TIME"),
    Flag("disable-compression", "bool", "send messages as they are"),
    Flag("log-level", "text", "trace, debug, info, warn, err", "LEVEL", choices=_LEVELS),
    Flag("syslog", "bool", "log to syslog, too"),
)
"""All but ``-config-file`` and ``-config-dir`` stand for a setting of the files."""
