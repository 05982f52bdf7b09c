"""The layers of the suite: imports point one way, and one half of it needs no Paddle."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mobileseg"

FOUNDATION = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem not in ("__init__", "__main__", "cli"))

CONFIG_READERS = [
    "tree", "source", "overrides", "schema_base", "schema_compress", "schema", "structure", "paddleseg", "rules",
    "schema_distill", "schema_optimizers", "schema_schedules", "schema_video", "plugins", "paddleseg_names",
    "signatures", "carried", "load",
]  # fmt: skip

INSTANCE_RESULT = ["instance.nms", "instance.masks", "instance.postprocess"]
INSTANCE_METRIC = ["instance.metric", "instance.metric_coco", "instance.metric_table"]
VIDEO_METRIC = [f"video.{name}" for name in ("metric_tracks", "metric_ytvis", "metric_hota", "metric_identity")]
VIDEO_METRIC += ["video.metric_table", "video.protocol", "video.scorer"]

MOBILEINST_RESULT = [f"video.mobileinst.{name}" for name in ("association", "following", "postprocess", "stream")]

TASKS = ("semantic", "instance", "video")

VIDEO_SETTINGS = [
    *(f"video.{name}" for name in ("names", "keyframes", "settings")),
    *(f"video.mobileinst.{name}" for name in ("names", "options", "settings")),
]

# From the foundation upwards; a module imports only from its own layer or from layers below it.
LAYERS = [
    [*FOUNDATION, "instance.options", "instance.settings", *VIDEO_SETTINGS],
    [*(f"config.{name}" for name in CONFIG_READERS), "weights", "semantic.paddleseg_package"],
    ["tracking"],
    [f"semantic.{name}" for name in ("metric", "boundary", "argmax", "cell_labels", "postprocess")],
    ["instance.anchors", "instance.matching", *INSTANCE_METRIC, *INSTANCE_RESULT],
    MOBILEINST_RESULT,
    ["viz"],
    ["data"],
    VIDEO_METRIC,
    [f"semantic.{name}" for name in ("drawing", "visualize")]
    + [f"instance.{name}" for name in ("drawing", "coco_results", "track_files", "visualize")]
    + ["video.visualize"],
    ["runtime"],
    ["video.mobileinst.runtime"],
    [f"{task}.runtime" for task in TASKS],  # what the runtime asks of a task stands on the runtime
    ["prediction", "benchmarking", "environment"],
    ["nn"],
    ["backbones"],
    ["semantic", "instance"],
    ["video"],  # its networks and losses use those of instance
    ["config"],  # config.build knows every component by name, through the registries
    ["compress.channels"],
    # What training asks of a task.
    ["training", *(f"{task}.training" for task in TASKS), "video.stages", "video.mobileinst.training"],
    ["export"],
    [f"{task}.{name}" for task in TASKS for name in ("export", "deploy", "golden", "export_nms", "nms_layer")]
    + ["video.recording", "video.mobileinst.export"],
    ["compress"],
    ["commands"],
    ["cli", "__main__", ""],
]
PADDLE_FREE = [
    *FOUNDATION, "tracking", "config", "weights", "data", "viz", "runtime", "prediction", "benchmarking", "environment",
]  # fmt: skip
PADDLE_FREE_MODULES = [
    "semantic.metric",
    "semantic.argmax",
    "semantic.cell_labels",
    "semantic.postprocess",
    "semantic.doctor",
    "semantic.doctor_labels",
    "instance.doctor",
    "instance.doctor_findings",
    "instance.doctor_objects",
    "video.doctor",
    "video.doctor_tracks",
    "instance.anchors",
    "instance.matching",
    "instance.options",
    "instance.settings",
    "instance.runtime",
    "semantic.runtime",
    "video.runtime",
    "video.settings",
    "video.keyframes",
    "video.visualize",
    *INSTANCE_RESULT,
    *INSTANCE_METRIC,
    *(f"video.mobileinst.{name}" for name in ("names", "options", "settings", "runtime")),
    *MOBILEINST_RESULT,
    *VIDEO_METRIC,
    "semantic.drawing",
    "semantic.visualize",
    "instance.drawing",
    "instance.coco_results",
    "instance.track_files",
    "instance.visualize",
]
FROM_BELOW = {
    ("config.rules", "data.formats.listfile"),  # the number of names in a file that a configuration names
    ("export.conversion.worker", "compress.precision.slim"),  # the entry of child processes: jobs of compress, which
    ("export.conversion.worker", "compress.precision.timing"),  # starts them
}
HEAVY = {"paddle", "paddleseg", "paddleslim", "paddle2onnx", "paddlelite"}


def modules() -> dict[str, Path]:
    """Dotted name below mobileseg -> file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = path
    return found


def imports(path: Path, *, top_level_only: bool) -> set[str]:
    """Modules imported by a file; TYPE_CHECKING blocks do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if top_level_only and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                found.add(child.module)
                found.update(f"{child.module}.{alias.name}" for alias in child.names)
            visit(child)

    visit(tree)
    return found


def layer(module: str) -> int:
    """Index of the layer with the longest prefix of the module's name."""
    best, level = -1, -1
    for index, prefixes in enumerate(LAYERS):
        for prefix in prefixes:
            if (module == prefix or module.startswith(prefix + ".")) and len(prefix) > best:
                best, level = len(prefix), index
    return level


@pytest.mark.parametrize("module", [name for name in modules() if name])
def test_imports_point_one_way(module: str) -> None:
    """Those inside functions too: what must be found from below is found by name (tasks.stage, the registries)."""
    own = layer(module)
    assert own >= 0, f"mobileseg.{module} belongs to no layer: add it to LAYERS"
    known = modules()
    for name in imports(modules()[module], top_level_only=False):
        target = name.removeprefix("mobileseg.")
        if (module, target) in FROM_BELOW:
            continue
        if name.startswith("mobileseg.") and target in known and known[target].name != "__init__.py":
            assert layer(target) <= own, f"mobileseg.{module} imports {name}, which stands above it"


@pytest.mark.parametrize(
    "module", [name for name in modules() if name.split(".")[0] in PADDLE_FREE] + PADDLE_FREE_MODULES
)
def test_paddle_free_half_imports_no_paddle(module: str) -> None:
    heavy = {name.split(".")[0] for name in imports(modules()[module], top_level_only=True)} & HEAVY
    assert not heavy, f"mobileseg.{module} imports {heavy} when it is imported"


def test_networks_do_not_know_the_trainer() -> None:
    for module, path in modules().items():
        if module.split(".")[0] in ("nn", "backbones") or module in ("semantic.model", "semantic.decoder"):
            above = [
                name
                for name in imports(path, top_level_only=False)
                if name.startswith(("mobileseg.training", "mobileseg.config", "mobileseg.data"))
            ]
            assert not above, f"mobileseg.{module} imports {above}"


def test_package_inits_are_empty() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        if path.parent != PACKAGE:
            assert not path.read_text(encoding="utf-8").strip(), f"{path} must stay empty"


def test_import_of_the_suite_is_cheap() -> None:
    """Neither the package nor its Paddle-free half pulls Paddle in, even indirectly."""
    script = (
        "import sys, mobileseg, mobileseg.config.load, mobileseg.data.datasets, mobileseg.runtime.segmenter, "
        "mobileseg.semantic.visualize, mobileseg.instance.visualize, mobileseg.semantic.metric, mobileseg.cli; "
        "sys.exit('paddle' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0
