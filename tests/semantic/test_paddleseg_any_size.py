"""Exported without a size, a network is what PaddleSeg's export makes of it: any size, any batch, the same labels."""

import numpy as np
import paddle
import pytest

from mobileseg.config.build import build_network
from mobileseg.config.load import load_config
from mobileseg.errors import ExportError
from mobileseg.export.exporter import export_network
from mobileseg.export.from_config import options_from, subject_from, synthetic_images
from mobileseg.runtime.segmenter import Segmenter

pytest.importorskip("paddleseg", reason="needs requirements-paddleseg.txt")
CLASSES = 4
SIZES = ((48, 36), (97, 131), (128, 128))
NETWORKS = {
    "PPLiteSeg": ("STDC1", {"num_classes": 4, "arm_out_chs": [16, 16, 16], "cm_out_ch": 16}),
    "MobileSeg": ("MobileNetV2_x0_25", {"num_classes": 4, "cm_bin_sizes": [1, 2, 4]}),
}
TOPFORMER = "{type: TopFormer, num_classes: 4, backbone: {type: TopTransformer_Tiny}}"


def text_of(name):
    backbone, options = NETWORKS[name]
    return str({"type": name, "backbone": {"type": backbone}, **options}).replace("'", "")


def network_of(text, folder):
    config = folder / "net.yml"
    data = (
        "val_dataset: {type: Dataset, dataset_root: absent, num_classes: 4, mode: val, transforms: [{type: Normalize}]}"
    )
    config.write_text(f"iters: 1\nbatch_size: 2\nmodel: {text}\n{data}\n")
    loaded = load_config(config)
    paddle.seed(3)
    network = build_network(loaded, load_pretrained=False)
    network.train()  # statistics of the norms that belong to the weights, so that labels differ from pixel to pixel
    with paddle.no_grad():
        for _ in range(20):
            network(paddle.randn([2, 3, 64, 64]))
    network.eval()
    return loaded, network


def theirs(name, network, folder):
    """What PaddleSeg's tools/export.py does without --input_shape, by the package's own network and wrapper."""
    from paddleseg import models
    from paddleseg.deploy.export import WrappedModel

    backbone, options = NETWORKS[name]
    with paddle.utils.unique_name.guard("theirs_"):  # some of its parameters have fixed names
        original = getattr(models, name)(backbone=getattr(models, backbone)(), **options)
    original.set_state_dict(network.state_dict())
    original.eval()
    folder.mkdir()
    spec = paddle.static.InputSpec(shape=[None, 3, None, None], dtype="float32")
    paddle.jit.save(paddle.jit.to_static(WrappedModel(original, "argmax"), input_spec=[spec]), str(folder / "model"))
    (folder / "deploy.yaml").write_text(
        "Deploy: {model: model.pdmodel, params: model.pdiparams, transforms: [{type: Normalize}], "
        "output_op: argmax, output_dtype: int32}\n"
    )
    return folder


def run_paddle(folder, images):
    """As PaddleSeg's deploy/python/infer.py: its package reads deploy.yaml, Paddle Inference runs the batch."""
    from paddle.inference import Config, create_predictor
    from paddleseg.deploy.infer import DeployConfig

    described = DeployConfig(str(folder / "deploy.yaml"))
    config = Config(described.model, described.params)
    config.disable_gpu()
    config.disable_glog_info()
    predictor = create_predictor(config)
    batch = np.stack([described.transforms({"img": image[..., ::-1].astype("float32")})["img"] for image in images])
    handle = predictor.get_input_handle(predictor.get_input_names()[0])
    handle.reshape(batch.shape)
    handle.copy_from_cpu(batch)
    predictor.run()
    return predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()


@pytest.mark.parametrize("name", NETWORKS)
def test_labels_are_those_of_paddlesegs_folder_at_any_size_and_batch(name, tmp_path):
    config, network = network_of(text_of(name), tmp_path)
    options = options_from(config, {"height": 64, "width": 64, "dynamic": True, "any_size": True})
    ours = tmp_path / "ours"
    subject = subject_from(config, network, None)
    export_network(network, ours, options, subject, synthetic_images((64, 64), 6), accept_weak=True)
    assert [path.name for path in ours.iterdir() if path.suffix in (".onnx", ".nb")] == []
    reference = theirs(name, network, tmp_path / "theirs")
    segmenter, foreign = Segmenter(ours, engine="paddle"), Segmenter(reference, engine="paddle")
    assert segmenter.manifest.image.multiple == 1
    for height, width in SIZES:
        images = np.random.default_rng(height).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
        expected = run_paddle(reference, images)
        assert len(np.unique(expected)) > 1
        np.testing.assert_array_equal(run_paddle(ours, images), expected)
        for image, labels in zip(images, expected, strict=True):
            np.testing.assert_array_equal(segmenter(image).labels, labels)
            np.testing.assert_array_equal(foreign(image).labels, labels)


def test_a_network_that_pads_asks_for_a_size(tmp_path):
    config, network = network_of(TOPFORMER, tmp_path)
    options = options_from(config, {"height": 64, "width": 64, "dynamic": True, "any_size": True})
    subject = subject_from(config, network, None)
    with pytest.raises(ExportError, match="multiples of 64") as caught:
        export_network(network, tmp_path / "a", options, subject, synthetic_images((64, 64), 6), accept_weak=True)
    assert "--size HEIGHT WIDTH" in caught.value.remedy
    assert not (tmp_path / "a").exists()


def test_other_targets_ask_for_a_size(tmp_path):
    config, network = network_of(text_of("MobileSeg"), tmp_path)
    options = options_from(config, {}, any_size=True)
    assert (options.dynamic, options.input_shape(open_size=True)) == (True, [-1, 3, -1, -1])
    with pytest.raises(ExportError, match="for Paddle alone: name a size"):
        export_network(
            network, tmp_path / "a", options, subject_from(config, network, None), [], targets=["paddle", "onnx"]
        )
