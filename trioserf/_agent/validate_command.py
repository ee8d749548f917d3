"""The command ``validate``: would an agent start with these files?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .agent_options import OptionsError

if TYPE_CHECKING:
    from .call import Call


def run_validate(call: Call) -> int:
    """``validate``: check files of settings, without starting anything."""
    call.check_format()
    if not call.arguments:
        return call.wrong_usage("At least one file or folder must be given.")
    error, notes = check_files(call.arguments)
    if error and call.format == "text":
        call.console.error(error)
        return 1
    text = "\n".join([*notes, "The settings are valid."])
    call.print(text, {"valid": not error, "error": error, "warnings": list(notes)})
    return 1 if error else 0


def check_files(paths: list[str]) -> tuple[str, tuple[str, ...]]:
    """What is wrong with the files, "" for nothing, and what should be known about them."""
    from .._exceptions import ConfigError
    from .agent_command import load_options
    from .agent_output import check_level
    from .metrics import AgentMetrics
    from .node_config import prepare

    try:
        options, notes = load_options({}, paths)
        check_level(options.log_level)
        prepared = prepare(options, AgentMetrics())
        warnings = (f"Warning: {warning}" for warning in prepared.warnings)
        return "", (*notes, *prepared.notes, *warnings)
    except (OptionsError, ConfigError) as error:
        return str(error), ()
