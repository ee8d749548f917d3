"""What a release says of itself is so: version, systems, Pythons, bounds, and its parts."""

from __future__ import annotations

import re
import tomllib

from tests.source_tree import ROOT
from trioserf import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
METADATA = PROJECT["project"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
WORKFLOW = (ROOT / ".github" / "workflows" / "checks.yml").read_text()


def pythons() -> list[str]:
    return re.findall(r"Python :: (3\.\d+)", " ".join(METADATA["classifiers"]))


def test_the_changelog_begins_with_what_comes_and_then_this_version() -> None:
    headings = re.findall(r"^## (\S+)", CHANGELOG, re.MULTILINE)
    assert ["Unreleased", __version__] == headings[:2]


def test_the_oldest_python_is_the_one_that_is_required() -> None:
    assert f">={pythons()[0]}" == METADATA["requires-python"]


def test_every_python_that_is_claimed_is_checked_and_the_readme_names_it() -> None:
    checked = set(re.findall(r'"(3\.\d+)"', WORKFLOW))
    assert set(pythons()) <= checked
    readme = (ROOT / "README.md").read_text()
    assert all(python in readme for python in pythons())


def test_only_the_system_that_is_tested_is_claimed() -> None:
    systems = [each for each in METADATA["classifiers"] if each.startswith("Operating System")]
    assert ["Operating System :: POSIX :: Linux"] == systems


def test_every_bound_is_one_that_the_checks_install() -> None:
    """``.ci/oldest`` pins ``name>=VERSION``; another form of bound would slip through."""
    extras = METADATA["optional-dependencies"]
    needs = [*METADATA["dependencies"]]
    for extra in ("cli", "mdns", "plot", "prometheus", "testing", "rich", "notebook"):
        needs += extras[extra]
    assert [] == [need for need in needs if not re.fullmatch(r"[\w-]+>=[\d.]+", need)]
    oldest, kernel = ((ROOT / ".ci" / name).read_text() for name in ("oldest", "old_kernel"))
    tried = set(re.findall(r'"(\w+)"', oldest)) | {"notebook"} & {*re.findall(r'"(\w+)"', kernel)}
    assert set(extras) - {"docs", "test", "check", "rich"} <= tried  # `cli` is `rich`
    assert extras["cli"] == extras["rich"]


def test_the_forge_runs_the_checks_that_everybody_runs() -> None:
    assert "- run: bash .ci/run" in WORKFLOW
    assert WORKFLOW.count("fetch-depth: 0") == WORKFLOW.count("actions/checkout")
    run = (ROOT / ".ci" / "run").read_text()
    for script in (".ci/docs", ".ci/oldest", ".ci/check_sdist.py", "twine check --strict"):
        assert script in run


def test_no_address_is_invented() -> None:
    assert "urls" not in METADATA
    assert all("email" not in author for author in METADATA["authors"])
    assert "@" not in (ROOT / "SECURITY.md").read_text()


def test_what_the_sdist_takes_is_there() -> None:
    for pattern in PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]:
        assert [*ROOT.glob(pattern.lstrip("/"))], pattern
