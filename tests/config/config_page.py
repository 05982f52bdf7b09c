"""What docs/config.md says about a section."""

import json
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mobileseg.instance.options import DetectionOptions
from mobileseg.video.keyframes import KeyframeOptions

PAGE = Path(__file__).parents[2] / "docs" / "config.md"


def shown_default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    return (
        "see below"
        if isinstance(default, BaseModel | DetectionOptions | KeyframeOptions)
        else f"`{json.dumps(default)}`"
    )


def documented(name: str) -> list[tuple[str, ...]]:
    """Rows of the table that follows the comment with the section's name."""
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(f"<!-- {name} -->") == 1, f"docs/config.md has no table <!-- {name} -->"
    table = text.split(f"<!-- {name} -->\n")[1].split("\n\n")[0].splitlines()
    assert table[:2] == ["| key | default | meaning |", "|---|---|---|"]
    return [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in table[2:]]
