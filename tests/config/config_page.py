"""What docs/config.md says about a section."""

import dataclasses
import json
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

PAGE = Path(__file__).parents[2] / "docs" / "config.md"


def shown_default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    is_section = isinstance(default, BaseModel) or dataclasses.is_dataclass(default)
    return "see below" if is_section else f"`{json.dumps(default)}`"


def documented(name: str) -> list[tuple[str, ...]]:
    """Rows of the table that follows the comment with the section's name."""
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(f"<!-- {name} -->") == 1, f"docs/config.md has no table <!-- {name} -->"
    table = text.split(f"<!-- {name} -->\n")[1].split("\n\n")[0].splitlines()
    assert table[:2] == ["| key | default | meaning |", "|---|---|---|"]
    return [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in table[2:]]
