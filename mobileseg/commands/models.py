"""`mobileseg models`: what may stand behind `type:` in a configuration, what lies in the zoo, what networks cost."""

from __future__ import annotations

import argparse
import inspect
import json
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mobileseg.errors import ConfigError
from mobileseg.registry import BACKBONES, DATASETS, LOSSES, NETWORKS, TRANSFORMS, Registry

HELP = "list networks, backbones, losses, datasets, transforms and the trained networks of the zoo"

KINDS: dict[str, Registry] = {
    "networks": NETWORKS,
    "backbones": BACKBONES,
    "losses": LOSSES,
    "datasets": DATASETS,
    "transforms": TRANSFORMS,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", nargs="?", default="*", help="shell pattern, for example 'MobileNet*'")
    parser.add_argument("--kind", choices=[*KINDS, "zoo"], help="only this kind; default: all")
    parser.add_argument("--backbones", dest="kind", action="store_const", const="backbones", help="--kind backbones")
    parser.add_argument("--size", action="store_true", help="build each backbone: channels, strides, parameters")
    parser.add_argument(
        "--configs",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="only the parameters and multiply-adds of these networks",
    )
    parser.add_argument(
        "--recommend",
        action="store_true",
        help="networks by task with published accuracy and speed on a phone, costs and measured times",
    )
    parser.add_argument("--input", nargs=2, type=int, metavar=("W", "H"), help="with --configs: size of the image")
    parser.add_argument("--zoo_dir", type=Path, default=Path("zoo"), help="folder of the trained networks")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")


def run(args: argparse.Namespace) -> int:
    if args.recommend:
        return _recommend(args)
    listing: dict[str, list[dict[str, Any]]] = {}
    if args.configs:
        listing["costs"] = [row for path in args.configs for row in costs(path, args.input)]
    else:
        for kind in [args.kind] if args.kind else [*KINDS, "zoo"]:
            listing[kind] = _zoo(args.zoo_dir, args.pattern) if kind == "zoo" else _components(kind, args)
    if args.json:
        print(json.dumps(listing, indent=2))
        return 0
    for kind, rows in listing.items():
        print(f"{kind} ({len(rows)})")
        cells = [[str(value) for value in row.values()] for row in rows]
        if kind == "costs":
            cells.insert(0, list(rows[0]))
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            print("  " + "  ".join(map(str.ljust, row, widths)).rstrip())
    return 0


def _recommend(args: argparse.Namespace) -> int:
    from mobileseg.commands import recommendations

    document = recommendations.read()
    trained = _zoo(args.zoo_dir, "*")
    if args.json:
        print(json.dumps({**document, "zoo": trained}, indent=2))
        return 0
    for line in recommendations.lines(document):
        print(line)
    if trained:
        print(f"trained on little data, in {args.zoo_dir}:")
        for row in trained:
            print(f"  {row['card']}")
    return 0


def _components(kind: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    registry = KINDS[kind]
    rows = []
    for name in registry:
        if not fnmatch(name.lower(), args.pattern.lower()):
            continue
        component = registry.get(name)
        if kind == "backbones" and args.size:
            rows.append({"name": name, **_backbone_size(component)})
        else:
            rows.append({"name": name, "arguments": str(_arguments(component))})
    return rows


def _arguments(component: Callable[..., Any]) -> str:
    parameters = [
        p.name if p.default is inspect.Parameter.empty else f"{p.name}={p.default!r}"
        for p in inspect.signature(component).parameters.values()
        if p.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    return f"({', '.join(parameters)})"


def _backbone_size(builder: Callable[..., Any]) -> dict[str, Any]:
    backbone = builder()
    parameters = sum(parameter.size for parameter in backbone.parameters())
    features = ", ".join(f"{spec.channels}@1/{spec.stride}" for spec in backbone.feature_info)
    return {"parameters": int(parameters), "features": features}


def costs(path: Path, size: list[int] | None) -> list[dict[str, Any]]:
    """One row for the whole network of a configuration, and one for each of its components."""
    from mobileseg.config.build import build_network
    from mobileseg.config.load import load_config
    from mobileseg.nn.cost import measure, total

    config = load_config(path)
    if size is None:
        if config.export.size is None:
            raise ConfigError(f"{path} has no export.size", remedy="give --input WIDTH HEIGHT")
        size = [config.export.size.width, config.export.size.height]
    width, height = size
    costs = measure(build_network(config, load_pretrained=False), height, width)
    return [
        {
            "network": path.stem,
            "input": f"{width}x{height}",
            "part": part,
            "parameters": cost.parameters,
            "MMACs": round(cost.macs / 1e6, 1),
        }
        for part, cost in [("deployed", total(costs)), *costs.items()]
    ]


def _zoo(folder: Path, pattern: str) -> list[dict[str, Any]]:
    if not folder.is_dir():
        return []
    return [
        {"name": path.parent.as_posix(), "card": _first_line(path)}
        for path in sorted(folder.glob("*/README.md"))
        if fnmatch(path.parent.name.lower(), pattern.lower())
    ]


def _first_line(path: Path) -> str:
    lines = (line.lstrip("# ").strip() for line in path.read_text(encoding="utf-8").splitlines())
    return next((line for line in lines if line), "")
