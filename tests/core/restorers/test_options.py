"""Settings by name: what can be said, and that the help page says it."""

from dataclasses import fields
from pathlib import Path

import pytest

from textovsr.core.restorers.options import with_options
from textovsr.tests.core.restorers.test_systems import CONFIGS

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("system", CONFIGS)
def test_the_help_page_names_every_setting(system: str) -> None:
    page = (ROOT / "js" / "docs" / "OVSR_DiffusionRestore.md").read_text("utf-8")
    table = page.split("## Settings by name")[1]
    named = {
        name.strip() for row in table.splitlines() if row.startswith("| ") for name in row.split("|")[1].split(",")
    }
    config = CONFIGS[system]()
    known = {
        field.name for field in fields(config) if isinstance(getattr(config, field.name), bool | int | float | str)
    }
    assert known <= named


def test_nothing_said_changes_nothing() -> None:
    config = CONFIGS["star"]()
    assert with_options(config, " ,\n") is config
