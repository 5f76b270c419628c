"""Models that someone else made: their folders lead to no code, no network and no other file, and
claim no more than their files hold."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from segpipe.core.config.job import ModelSettings, make_job
from segpipe.core.errors import ConfigError, ModelError
from segpipe.inference import models
from segpipe.inference.models.simple_cnn import SimpleCNN

LOAD = """
import json, resource, sys
from segpipe.core.errors import SegpipeError
from segpipe.inference import models
for source in sys.argv[1:]:
    try:
        models.load(source, allow_untrained=True)
        said = "loaded"
    except SegpipeError as error:
        said = str(error)
    print("said:", json.dumps(said))
print("peak:", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
GUARD_S = 240


class Hub:
    """A server of this machine in the hub's place; `asked` are the requests that it got."""

    def __init__(self) -> None:
        asked: list[str] = []
        self.asked = asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_error(404)

            do_HEAD = do_GET

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def hub() -> Iterator[Hub]:
    found = Hub()
    yield found
    found.server.shutdown()
    found.server.server_close()


def loaded_apart(hub: Hub, *sources: str, answer: str = "y\n" * 9) -> tuple[list[str], int]:
    """What loading each model says, in a process that reaches the hub in its place and answers yes
    to every question; and the most memory that it took, in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *sources],
        input=answer,
        capture_output=True,
        text=True,
        timeout=GUARD_S,
        env=os.environ | {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_TELEMETRY": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    said = [json.loads(line[6:]) for line in lines if line.startswith("said: ")]
    peak = next(int(line[6:]) for line in lines if line.startswith("peak: "))
    return said, peak


def cnn_folder(folder: Path, **arguments: Any) -> Path:
    """An honest model folder, its config changed by `arguments`."""
    folder.mkdir(parents=True)
    network = SimpleCNN(3)
    save_file(network.state_dict(), folder / "model.safetensors", {"format": "pt"})
    config = network.config | arguments
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def unet_folder(folder: Path, **arguments: Any) -> Path:
    """A folder whose config has a Unet of segmentation-models-pytorch."""
    cnn_folder(folder)
    config = {"_model_class": "Unet", "classes": 3, "encoder_name": "resnet18"}
    (folder / "config.json").write_text(json.dumps(config | arguments))
    return folder


def hf_folder(folder: Path, config: dict[str, Any], processor: dict[str, Any] | None = None) -> str:
    """A folder of transformers with a SegFormer's weights, its JSON files changed."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    labels = {i: f"thing {i}" for i in range(3)}
    settings = transformers.SegformerConfig(
        id2label=labels,
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
    )
    transformers.SegformerForSemanticSegmentation(settings).save_pretrained(folder)
    transformers.SegformerImageProcessor().save_pretrained(folder)
    for name, changes in (("config.json", config), ("preprocessor_config.json", processor or {})):
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return f"hf:{folder}"


class Mark:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.path), "w")


@pytest.mark.slow
def test_honest_folders_load(tmp_path: Path, hub: Hub) -> None:
    plain = cnn_folder(tmp_path / "plain")
    (tmp_path / "linked").symlink_to(plain)
    snapshot = tmp_path / "models--me--street" / "snapshots" / "abc"
    blobs = snapshot.parent.parent / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for file in sorted(plain.iterdir()):
        (blobs / file.name).write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(Path("../../blobs") / file.name)
    for folder in (plain, tmp_path / "linked", snapshot):
        (folder.resolve() / "segpipe.json").write_text(
            json.dumps({"preprocessing": {"mean": [0, 0, 0], "std": [1, 1, 1]}})
        )
        assert len(models.load(f"smp:{folder}").spec.classes) == 3
    said, _ = loaded_apart(hub, hf_folder(tmp_path / "hf", {"_name_or_path": "nvidia/mit-b0"}))
    assert said == ["loaded"]
    assert hub.asked == []


@pytest.mark.slow
@pytest.mark.attack("a model of transformers brings Python code, and the user answers y")
def test_code_in_a_folder(tmp_path: Path, hub: Hub) -> None:
    mark = tmp_path / "mark"
    code = f"open({str(mark)!r}, 'w')\n"
    sources = []
    for name, file in (("config.json", "AutoConfig"), ("preprocessor_config.json", "")):
        entry = {"auto_map": {file or "AutoImageProcessor": "evil.Thing"}, "model_type": "evil"}
        config = entry if file else {}
        folder = tmp_path / name
        sources.append(hf_folder(folder, config, {} if file else {"auto_map": entry["auto_map"]}))
        (folder / "evil.py").write_text(code)
    said, _ = loaded_apart(hub, *sources)
    assert not mark.exists()
    assert all("has auto_map" in line and "\n" not in line for line in said), said


@pytest.mark.slow
@pytest.mark.attack("a model of transformers takes its backbone or classes from the hub")
def test_backbones_of_the_hub(tmp_path: Path, hub: Hub) -> None:
    detr = {"model_type": "maskformer", "architectures": ["MaskFormerForInstanceSegmentation"]}
    sources = [
        hf_folder(tmp_path / "a", detr | {"backbone": "evil/backbone", "backbone_config": None}),
        hf_folder(tmp_path / "b", detr | {"backbone": "evil", "backbone_config": None}),
        hf_folder(
            tmp_path / "c",
            {},
            {
                "image_processor_type": "OneFormerImageProcessor",
                "repo_path": "evil/classes",
                "class_info_file": "classes.json",
            },
        ),
    ]
    adapted = hf_folder(tmp_path / "d", {})
    (tmp_path / "d" / "adapter_config.json").write_text('{"base_model_name_or_path": "evil/base"}')
    said, _ = loaded_apart(hub, *sources, adapted)
    assert hub.asked == []
    assert all("a model folder is closed" in line for line in said), said


@pytest.mark.slow
@pytest.mark.attack("a model folder names an encoder of the hub (tu-hf_hub:…)")
def test_encoders_of_the_hub(tmp_path: Path, hub: Hub) -> None:
    names = ("tu-hf_hub:evil/encoder", "tu-hf-hub:evil/encoder", "tu-local-dir:/tmp", "../evil")
    folders = [unet_folder(tmp_path / str(i), encoder_name=n) for i, n in enumerate(names)]
    said, _ = loaded_apart(hub, *(f"smp:{f}" for f in folders))
    assert hub.asked == []
    assert all("encoder_name" in line and "closed" in line for line in said), said


@pytest.mark.slow
@pytest.mark.attack("a model folder gives its network a pickled checkpoint_path")
def test_a_checkpoint_path(tmp_path: Path, hub: Hub) -> None:
    mark, other = tmp_path / "mark", tmp_path / "other.pth"
    other.write_bytes(pickle.dumps(Mark(mark)))
    folders = [
        unet_folder(tmp_path / "a", encoder_name="tu-resnet18", checkpoint_path=str(other)),
        unet_folder(tmp_path / "b", encoder_name="tu-resnet18", pretrained_cfg={"file": "x"}),
        cnn_folder(tmp_path / "c", weights="x"),
        cnn_folder(
            tmp_path / "d",
            _model_class="TorchvisionNet",
            name="lraspp_mobilenet_v3_large",
            weights_backbone="DEFAULT",
        ),
    ]
    said, _ = loaded_apart(hub, *(f"smp:{f}" for f in folders))
    assert not mark.exists()
    assert all("a model folder is closed" in line for line in said), said


@pytest.mark.attack("files of a model folder are links to other files")
def test_links_in_a_folder(tmp_path: Path) -> None:
    other = cnn_folder(tmp_path / "other")
    for name in ("config.json", "model.safetensors", "segpipe.json"):
        folder = cnn_folder(tmp_path / f"with {name}")
        (other / "segpipe.json").write_text("{}")
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(other / name)
        with pytest.raises(ModelError, match=r"is a link to .*copy the file into it"):
            models.load(f"smp:{folder}")
    hf = Path(hf_folder(tmp_path / "hf", {})[3:])
    (hf / "model.safetensors").rename(tmp_path / "elsewhere.safetensors")
    (hf / "model.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(ModelError, match="is a link to"):
        models.load(f"hf:{hf}")


@pytest.mark.attack("an index of weights names files outside the model folder")
def test_an_index_that_leads_out(tmp_path: Path) -> None:
    folder = Path(hf_folder(tmp_path / "hf", {})[3:])
    names = list(load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").rename(tmp_path / "secret.safetensors")
    save_file({"x": torch.zeros(1)}, folder / "bait.safetensors", {"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": dict.fromkeys(names, "../secret.safetensors")})
    )
    with pytest.raises(ModelError, match=r"aren't in the folder; it may name bait\.safetensors"):
        models.load(f"hf:{folder}")


@pytest.mark.slow
@pytest.mark.attack("a FIFO or a huge file in the place of a model's config")
def test_a_config_that_is_no_file(tmp_path: Path, hub: Hub) -> None:
    fifo = cnn_folder(tmp_path / "fifo")
    (fifo / "config.json").unlink()
    os.mkfifo(fifo / "config.json")
    huge = cnn_folder(tmp_path / "huge")
    with (huge / "config.json").open("r+b") as file:
        file.truncate(1 << 34)
    deep = cnn_folder(tmp_path / "deep")
    (deep / "config.json").write_text('{"a":' * 100_000)
    weights = cnn_folder(tmp_path / "weights")
    (weights / "model.safetensors").unlink()
    os.mkfifo(weights / "model.safetensors")
    said, peak = loaded_apart(hub, *(f"smp:{f}" for f in (fifo, huge, deep, weights)))
    assert "isn't a regular file" in said[0]
    assert "at most 4194304 are read" in said[1]
    assert "can't be read" in said[2]
    assert "isn't a regular file" in said[3]
    assert peak < 2 << 30


@pytest.mark.slow
@pytest.mark.attack("a small model folder claims layers, classes or tensors of many gigabytes")
def test_claims_before_memory(tmp_path: Path, hub: Hub) -> None:
    wide = cnn_folder(tmp_path / "wide", channels=[60_000, 60_000])
    wider = cnn_folder(tmp_path / "wider", hidden=10**9)
    classes = cnn_folder(tmp_path / "classes", classes=10**6)
    unet = unet_folder(tmp_path / "unet", decoder_channels=[30_000] * 5)
    header = cnn_folder(tmp_path / "header")
    (header / "model.safetensors").write_bytes((1 << 40).to_bytes(8, "little") + b"{" * 64)
    tensor = cnn_folder(tmp_path / "tensor")
    claim = json.dumps(
        {"x": {"dtype": "F32", "shape": [1 << 20, 1 << 20], "data_offsets": [0, 1 << 42]}}
    ).encode()
    (tensor / "model.safetensors").write_bytes(len(claim).to_bytes(8, "little") + claim)
    folders = (wide, wider, classes, unet, header, tensor)
    said, peak = loaded_apart(
        hub,
        *(f"smp:{f}" for f in folders),
        hf_folder(tmp_path / "hf wide", {"hidden_sizes": [8, 16, 24, 60_000]}),
        hf_folder(tmp_path / "hf deep", {"depths": [1, 1, 1, 10**8]}),
        hf_folder(tmp_path / "hf classes", {"id2label": {i: str(i) for i in range(50_000)}}),
    )
    for line, expected in zip(
        said,
        (
            "but the weights beside it hold",
            "at most 65536 is allowed",
            "allowed are 1 to 255",
            "but the weights beside it hold",
            "its header claims",
            "a tensor ends at byte",
            "but the weights beside it hold",
            "at most 1000 is allowed",
            "at most 255 fit a byte",
        ),
        strict=True,
    ):
        assert expected in line
    assert peak < 2 << 30


@pytest.mark.attack("a model's preprocessing makes every frame larger than memory")
def test_claims_of_a_preprocessing(tmp_path: Path) -> None:
    folder = cnn_folder(tmp_path / "m")
    for given in (
        {"height": 10**6, "width": 10**6},
        {"height": 16_000, "width": 16_000},
        {"shortest_edge": 10_000},
        {"multiple_of": 10**9},
        {"height": "9"},
    ):
        (folder / "segpipe.json").write_text(json.dumps({"preprocessing": given}))
        with pytest.raises(ModelError, match=r"preprocessing: .* allowed"):
            models.load(f"smp:{folder}")
    source = hf_folder(tmp_path / "hf", {}, {"size": {"height": 60_000, "width": 60_000}})
    with pytest.raises(ModelError, match="allowed are 1 to 16384 pixels"):
        models.load(source)


@pytest.mark.attack("weights of torchvision are a pickle, or unpack to many times their size")
def test_weights_of_torchvision(tmp_path: Path) -> None:
    mark, bomb = tmp_path / "mark", tmp_path / "bomb.pth"
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Mark(mark)))
    torch.save({"x": Mark(mark)}, tmp_path / "evil2.pth")
    plain = tmp_path / "plain.pth"
    torch.save({"x": torch.zeros(10**6)}, plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.infolist():
            new.writestr(item.filename, old.read(item))
    for name in ("evil.pth", "evil2.pth", "bomb.pth"):
        with pytest.raises(ModelError, match="isn't loaded: only safetensors or plain weights"):
            models.load(f"torchvision:fcn_resnet50?weights={tmp_path / name}")
    assert not mark.exists()


@pytest.mark.attack("cached weights of a library are replaced by a pickle")
def test_cached_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import segmentation

    mark = tmp_path / "mark"
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    url = segmentation.LRASPP_MobileNet_V3_Large_Weights.DEFAULT.url
    torch.save({"x": Mark(mark)}, tmp_path / "checkpoints" / url.rpartition("/")[2])
    with pytest.raises(ModelError, match="weights"):
        models.load("torchvision:lraspp_mobilenet_v3_large")
    assert not mark.exists()


@pytest.mark.attack("a model's weights are exchanged after the job was written")
def test_a_pinned_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import safetensors.torch

    folder = cnn_folder(tmp_path / "m")
    (folder / "segpipe.json").write_text(json.dumps({"preprocessing": {"multiple_of": 4}}))
    pinned = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    source = f"smp:{folder}"
    assert models.load(source, sha256=pinned).spec.digest == pinned[:16]
    assert models.load(source, sha256=pinned.upper()).spec.digest == pinned[:16]
    save_file(SimpleCNN(3).state_dict(), folder / "model.safetensors", {"format": "pt"})

    def loads(*_: Any) -> None:
        pytest.fail("the weights were loaded")

    monkeypatch.setattr(safetensors.torch, "load_file", loads)
    with pytest.raises(ModelError, match=f"but model.sha256 is {pinned}") as error:
        models.load(source, sha256=pinned)
    assert "\n" not in str(error.value)
    with pytest.raises(ModelError, match="has no file of weights"):
        models.load("fake:", sha256=pinned)


def test_a_digest_is_64_digits() -> None:
    assert ModelSettings(sha256="ab" * 32).sha256 == "ab" * 32
    with pytest.raises(ConfigError, match=r"model.sha256"):
        make_job({"inputs": ["a"], "output": "b", "model": {"sha256": "abc"}})
