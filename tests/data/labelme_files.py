"""Files as labelme 5 writes them."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def shape(label: str, points: list[list[float]], kind: str = "polygon", group: int | None = None, **more: Any) -> dict:
    """A shape with the keys that labelme 5 writes."""
    return {"label": label, "points": points, "group_id": group, "description": "", "shape_type": kind, "flags": {},
            "mask": None} | more  # fmt: skip


def save(root: Path, name: str, shapes: list[dict], /, **more: Any) -> Path:
    """An image of 40x60 and its JSON file beside it."""
    path = root / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = io.BytesIO()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))
    picture.save(stored, "JPEG")
    path.with_suffix(".jpg").write_bytes(stored.getvalue())
    document = {
        "version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"{path.stem}.jpg",
        "imageData": base64.b64encode(stored.getvalue()).decode(), "imageHeight": 40, "imageWidth": 60,
    }  # fmt: skip
    path.write_text(json.dumps(document | more, indent=2))
    return path
