"""The command ``agent``: flags and files to settings, and from there to a running agent.

Its exit status is that of `Agent.end` (`agent.py`), and 1 where no node could be started.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/command.go, Run, readConfig.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .agent_options import AgentOptions, OptionsError, completed, values_of_flags
from .config_files import with_files

if TYPE_CHECKING:
    from .call import Call


def load_options(
    flags: Mapping[str, Any], paths: Iterable[str]
) -> tuple[AgentOptions, tuple[str, ...]]:
    """The settings that flags and files give together, and notes about them.

    Args:
      flags: see `values_of_flags`; what they give goes before files.
      paths: files and folders, in their order.

    Raises:
      OptionsError: one of them cannot be used.
    """
    from .handler_rules import InvalidHandler, parse_handlers

    options = with_files(AgentOptions(), paths).merged(flags)
    try:
        parse_handlers(options.event_handlers)
    except InvalidHandler as error:
        raise OptionsError(f"Invalid event script: {error}") from None
    options, notes = completed(options)
    return options, tuple(notes)


def run_agent(call: Call) -> int:
    """``agent``: run a node until a signal or a client ends it."""
    paths = call["config-file"]
    try:
        flags = values_of_flags({flag: call[flag] for flag in call.flags})
        flags["encrypt_key"] = call.secret("encrypt")
        options, notes = load_options(flags, paths)
        from .agent_output import AgentOutput, check_level

        output = AgentOutput(call.console, check_level(options.log_level))
        for note in notes:
            output.say(note)
        from .agent import run

        return run(options, output, lambda: load_options(flags, paths))
    except OptionsError as error:
        call.console.line(f"==> {error}")
        return 1
