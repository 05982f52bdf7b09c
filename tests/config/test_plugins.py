"""Plugins."""

import pytest

from mobileseg.config import plugins
from mobileseg.config.load import load_config
from mobileseg.registry import TRANSFORMS

GOOD = """
    from mobileseg.registry import TRANSFORMS

    @TRANSFORMS.add_component
    class {name}:
        def __init__(self, amount: int = 1) -> None:
            self.amount = amount
"""


pytestmark = pytest.mark.usefixtures("forget_plugins")


def test_path_is_relative_to_the_file_that_lists_it(write, tmp_path):
    write("shared/blur.py", GOOD.format(name="MyBlur"))
    write("shared/base.yml", "plugins: [blur.py]")
    config = load_config(write("top/a.yml", "_base_: ../shared/base.yml\niters: 5"))
    assert "MyBlur" in TRANSFORMS
    assert config.plugins == [str(tmp_path / "shared" / "blur.py")]


def test_path_of_an_override_is_relative_to_the_working_folder(write, tmp_path):
    write("blur.py", GOOD.format(name="MyBlur2"))
    config = load_config(write("top/a.yml", "iters: 5"), ["plugins=[blur.py]"])
    assert config.plugins == [str(tmp_path / "blur.py")]
    assert "MyBlur2" in TRANSFORMS


def test_loaded_once(write):
    write("blur.py", GOOD.format(name="MyBlur3") + "\n    import builtins\n")
    file = write("a.yml", "plugins: [blur.py, ./blur.py]")
    first, second = load_config(file), load_config(file)
    assert first.hash == second.hash
    assert TRANSFORMS.get("MyBlur3").__module__.startswith("mobileseg_plugin_blur_")


def test_two_plugins_of_one_name_are_two_modules(write):
    write("x/blur.py", GOOD.format(name="FromX"))
    write("y/blur.py", GOOD.format(name="FromY"))
    load_config(write("a.yml", "plugins: [x/blur.py, y/blur.py]"))
    assert "FromX" in TRANSFORMS
    assert "FromY" in TRANSFORMS


def test_the_hash_does_not_depend_on_the_folder(write):
    write("x/blur.py", GOOD.format(name="FromX2"))
    write("y/blur.py", GOOD.format(name="FromY2"))
    hashes = {load_config(write(f"{part}/a.yml", "plugins: [blur.py]")).hash for part in "xy"}
    assert len(hashes) == 1


def test_resolved_configuration_finds_its_plugins_from_elsewhere(write):
    write("x/blur.py", GOOD.format(name="FromX3"))
    config = load_config(write("x/a.yml", "plugins: [blur.py]"))
    assert load_config(write("run/config.yml", config.to_yaml())) == config


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("x = 1\nraise RuntimeError('broken')", "RuntimeError: broken (line 2)"),
        ("def f(:\n  pass", "SyntaxError"),
        ("import no_such_package", "No module named 'no_such_package' (line 1)"),
        (
            "from mobileseg.registry import TRANSFORMS\n@TRANSFORMS.add_component\nclass Normalize: pass",
            "transform 'Normalize' is registered twice",
        ),
    ],
)
def test_failing_plugins_name_the_line_of_the_configuration(write, refused, code, part):
    write("bad.py", code)
    error = refused(load_config, write("a.yml", "iters: 5\nplugins:\n  - bad.py\n"))
    assert part in str(error)
    assert [(problem.key, problem.origin) for problem in error.problems] == [("plugins.0", "a.yml:3")]


def test_missing_and_odd_files(write, refused):
    write("folder.py/x", "")
    write("text.txt", "x = 1")
    error = refused(load_config, write("a.yml", "plugins: [no.py, folder.py, text.txt]"))
    assert [problem.key for problem in error.problems] == ["plugins.0", "plugins.1", "plugins.2"]
    assert "does not exist" in error.problems[0].message
    assert "must end in .py" in error.problems[2].message


def test_a_failed_plugin_can_be_corrected_and_loaded_again(write, refused):
    file = write("a.yml", "plugins: [blur.py]")
    write("blur.py", GOOD.format(name="Late") + "\n    raise RuntimeError('at the end')\n")
    refused(load_config, file)
    assert "Late" not in TRANSFORMS
    write("blur.py", GOOD.format(name="Late"))
    load_config(file)
    assert "Late" in TRANSFORMS


def test_nothing_runs_when_the_structure_is_wrong(write, refused):
    write("bad.py", "raise RuntimeError('ran')")
    error = refused(load_config, write("a.yml", "plugins: [bad.py]\nitres: 5"))
    assert "ran" not in str(error)


def test_module_names_are_readable_and_differ(tmp_path):
    one, two = plugins.module_name(tmp_path / "a" / "p.py"), plugins.module_name(tmp_path / "b" / "p.py")
    assert one.startswith("mobileseg_plugin_p_")
    assert one != two
