"""Training: it learns, it goes on after a kill as if nothing had happened, and it refuses what
can't work."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from segpipe.core.errors import ConfigError, ModelError, TrainingError
from segpipe.core.taxonomy_files import load_taxonomy
from segpipe.training.evaluation.shipping import train_and_measure
from segpipe.training.loop import train
from segpipe.training.memory import check_memory, kept_bytes
from segpipe.training.networks import build_network
from segpipe.training.on_cpu import depthwise_in_float32
from segpipe.training.run_folder import held
from segpipe.training.sample import DriveSettings, render_drive
from segpipe.training.settings import Network, TrainingJob, make_training_job
from segpipe.training.setup import prepare
from tests.clock import HANG_S, wait_until
from tests.conftest import ROOT
from tests.labelled import training_job

Run = Callable[..., tuple[int, str, str]]


def job_of(tmp_path: Path, **over: Any) -> TrainingJob:
    return make_training_job(training_job(tmp_path, **over))


def weights_of(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model" / "model.safetensors")


def write(tmp_path: Path, **over: Any) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(training_job(tmp_path, **over)))
    return path


@pytest.mark.slow
def test_simple_cnn_learns_the_sample_drive(tmp_path: Path) -> None:
    """A minute of the article's network beats the majority class by far: mean IoU 30 % (a guess
    gives 3 %)."""
    drive = render_drive(
        tmp_path / "drive", DriveSettings(seconds=4.0, fps=10, width=320, height=192, images=True)
    )
    parts = {"train": "images/0000[0-2]*.jpg", "val": "images/00003*.jpg"}
    job = job_of(
        tmp_path,
        network={"options": {"channels": [16, 32]}},
        input={"shortest_edge": 192, "multiple_of": 4},
        data={
            "taxonomy": "camvid",
            **{k: [{"root": str(drive.video.parent), "images": v}] for k, v in parts.items()},
        },
        augmentation={
            "crop": [192, 320],
            "scale": [0.9, 1.2],
            "hue": 0.0,
            "noise": 0.0,
            "blur": 0.0,
        },
        optimiser={"rate": 0.004},
        schedule={"epochs": 24, "batch": 3, "average": 0.0, "validate_every": 8},
        loss=[
            {"name": "cross_entropy", "class_weights": "bounded"},
            {"name": "dice", "weight": 0.5},
        ],
    )
    done = train_and_measure(job, progress=False)
    tally = done.evaluation.tally
    majority = tally.confusion.sum(1).max() / tally.confusion.sum()
    # The IoU of the one class that is guessed, shared by all.
    guess = majority / np.count_nonzero(tally.confusion.sum(1))
    assert guess < 0.06
    assert tally.mean_iou > 0.30
    assert tally.accuracy > majority + 0.25
    # Training's own validation saw the same
    assert done.report.miou == pytest.approx(tally.mean_iou, abs=0.02)


def test_a_run_leaves_model_card_curves_and_logs(tmp_path: Path) -> None:
    job = job_of(tmp_path, card="## Known failures\n\nEverything but three colours.")
    done = train_and_measure(job, progress=False)
    out = tmp_path / "run"
    rows = list(csv.DictReader((out / "history.csv").open()))
    assert [r["epoch"] for r in rows] == ["1", "2", "3", "4"]
    assert {"train/loss", "val/miou", "val/iou/car", "rate"} <= set(rows[-1])
    assert float(rows[-1]["train/loss"]) < float(rows[0]["train/loss"])
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list((out / "tensorboard").glob("events*"))
    assert json.loads((out / "model" / "config.json").read_text())["_model_class"] == "SimpleCNN"
    card = (out / "model" / "README.md").read_text()
    assert f"**{done.evaluation.tally.mean_iou * 100:.2f} %**" in card
    assert "Everything but three colours." in card
    assert "4 epochs, 8 steps of 4 crops of 64x64" in card
    assert {p.name for p in (out / "evaluation").iterdir()} >= {
        "classes.parquet",
        "confusion.png",
        "worst",
    }


class Dies(pl.Callback):
    """Dies in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, trainer: pl.Trainer, *rest: Any) -> None:
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("died")


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = train(job_of(tmp_path, output=str(tmp_path / "whole")), progress=False)
    broken = job_of(tmp_path, output=str(tmp_path / "broken"))
    with pytest.raises(RuntimeError, match="died"):
        train(broken, progress=False, extra=(Dies(2),))
    done = train(broken, progress=False)
    assert (done.resumed_from, done.epochs, done.steps) == (2, whole.epochs, whole.steps)
    first, second = weights_of(tmp_path / "whole"), weights_of(tmp_path / "broken")
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-5, atol=1e-6)
    histories = [
        list(csv.DictReader((tmp_path / n / "history.csv").open())) for n in ("whole", "broken")
    ]
    assert [float(r["val/miou"]) for r in histories[0]] == pytest.approx(
        [float(r["val/miou"]) for r in histories[1]], abs=1e-4
    )


def interrupted(process: subprocess.Popen[bytes]) -> bytes:
    """Ctrl-C, once: a second one, while the process is saving, would end it at once."""
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=HANG_S)[1]


def test_a_killed_process_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path, schedule={"epochs": 400})
    command = [sys.executable, "-m", "segpipe", "train", "-c", str(path), "-q"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    history = tmp_path / "run" / "history.csv"
    wait_until(
        lambda: history.exists() and history.read_text().count("\n") >= 4,
        "epochs",
        lambda: process.poll() is None,
    )
    process.send_signal(signal.SIGKILL)
    process.communicate()
    saved = (
        torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] + 1
    )
    assert saved >= 2
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while history.read_text().count("\n") < saved + 4:
        assert process.poll() is None
        time.sleep(0.05)
    err = interrupted(process)
    assert process.returncode == 130, err.decode()
    assert b"run the same command again to go on" in err
    epochs = [int(r["epoch"]) for r in csv.DictReader(history.open())]
    assert epochs == list(range(1, len(epochs) + 1))


def test_another_job_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    train(job_of(tmp_path, schedule={"epochs": 1}), progress=False)
    with pytest.raises(
        TrainingError, match=r"holds a run with other settings: optimiser; .*--fresh"
    ):
        train(job_of(tmp_path, schedule={"epochs": 1}, optimiser={"rate": 0.5}), progress=False)
    done = train(
        job_of(tmp_path, schedule={"epochs": 1}, optimiser={"rate": 0.02}),
        fresh=True,
        progress=False,
    )
    assert done.resumed_from == 0


def test_early_stop_and_the_best_weights(tmp_path: Path) -> None:
    job = job_of(
        tmp_path, schedule={"epochs": 60, "patience": 2, "average": 0.0}, optimiser={"rate": 1e-9}
    )
    done = train(job, progress=False)
    assert done.epochs < 10  # nothing gets better at such a rate


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    class Spoils(pl.Callback):
        def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            if trainer.current_epoch == 5:
                for p in pl_module.parameters():
                    p.data.zero_()

    job = job_of(tmp_path, schedule={"epochs": 6, "average": 0.0}, optimiser={"rate": 0.02})
    done = train(job, progress=False, extra=(Spoils(),))
    scores = [
        float(r["val/miou"]) for r in csv.DictReader((tmp_path / "run" / "history.csv").open())
    ]
    assert done.miou == pytest.approx(max(scores))
    assert scores[-1] < max(scores)
    assert any(v.abs().max() > 0.1 for v in weights_of(tmp_path / "run").values())


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, segpipe: Run) -> None:
    class Poisons(pl.Callback):
        def on_train_batch_start(
            self, trainer: pl.Trainer, pl_module: pl.LightningModule, *rest: Any
        ) -> None:
            if trainer.global_step == 5:
                next(pl_module.parameters()).data.fill_(float("nan"))

    job = job_of(tmp_path)
    with pytest.raises(
        TrainingError,
        match=r"the loss is nan at step 5 \(epoch 2.*last\.ckpt keeps the last good epoch",
    ):
        train(job, progress=False, extra=(Poisons(),))
    kept = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["epoch"] == 1
    assert all(torch.isfinite(v).all() for v in kept["state_dict"].values())
    assert not (tmp_path / "run" / "model").exists()


def test_start_from_a_trained_model(tmp_path: Path) -> None:
    train(job_of(tmp_path), progress=False)
    start = str(tmp_path / "run" / "model")
    ready = prepare(job_of(tmp_path, output=str(tmp_path / "two"), network={"start": start}))
    for name, value in weights_of(tmp_path / "run").items():
        assert torch.equal(ready.network.state_dict()[name], value)
    two = job_of(
        tmp_path,
        output=str(tmp_path / "two"),
        network={"start": start},
        data={"remap": {"car": "road"}},
    )
    with pytest.raises(
        ModelError, match=r"doesn't fit this network of 2 classes \(.*3 outputs there, 2 here"
    ):
        prepare(two)


def test_frozen_parts_stay(tmp_path: Path) -> None:
    job = job_of(tmp_path, network={"freeze": ["features.0"]})
    before = {k: v.clone() for k, v in prepare(job).network.state_dict().items()}
    train(job, progress=False)
    after = weights_of(tmp_path / "run")
    assert torch.equal(before["features.0.weight"], after["features.0.weight"])
    assert not torch.equal(before["features.3.weight"], after["features.3.weight"])


@pytest.mark.parametrize(
    ("over", "kind", "message"),
    [
        (
            {"network": {"architecture": "Unet3D"}},
            ConfigError,
            "allowed are simple_cnn, torchvision:NAME .* Unet, UnetPlusPlus",
        ),
        (
            {"network": {"architecture": "torchvision:alexnet"}},
            ConfigError,
            "torchvision:alexnet; allowed are deeplabv3",
        ),
        (
            {"network": {"options": {"depth": 3}}},
            ConfigError,
            "simple_cnn doesn't take these arguments .*depth",
        ),
        (
            {"network": {"freeze": ["encoder.conv9"]}},
            ConfigError,
            "no part is called encoder.conv9; there are",
        ),
        ({"network": {"architecture": "FPN", "encoder": "resnet999"}}, ConfigError, "resnet999"),
        ({"network": {"start": "runs/nowhere"}}, ModelError, "no such model folder"),
        (
            {
                "network": {"architecture": "FPN", "encoder": "resnet18", "weights": "none"},
                "input": {"shortest_edge": 68},
            },
            ConfigError,
            "input: FPN doesn't take 1 pictures of 68x",
        ),
        ({"data": {"remap": {"sky": "road", "car": "road"}}}, ConfigError, "leaves 1 class"),
        ({"machine": {"strategy": "dpp"}}, ConfigError, "Lightning refuses it .*dpp"),
        (
            {"schedule": {"batch": 5}, "machine": {"devices": 2}},
            TrainingError,
            "of 4 for each of 2 devices",
        ),
        ({"schedule": {"batch": 64}}, TrainingError, "batch 64 is more than the 8 images"),
        (
            {
                "schedule": {"batch": 4000, "images_per_epoch": 4000},
                "augmentation": {"crop": [4096, 4096]},
            },
            TrainingError,
            "GB are free: .*fit",
        ),
        (
            {"augmentation": {"paste": 0.5, "paste_classes": ["tram"]}},
            TrainingError,
            "paste_classes: tram; allowed are sky",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_training(
    tmp_path: Path, over: dict[str, Any], kind: type, message: str
) -> None:
    with pytest.raises(kind, match=message):
        train(job_of(tmp_path, **over), progress=False)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_no_gpu_is_said(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    with pytest.raises(TrainingError, match="no CUDA device is here; use auto or cpu"):
        prepare(job_of(tmp_path, machine={"accelerator": "gpu"}))


def test_memory_is_measured() -> None:
    network = build_network(Network(architecture="simple_cnn", encoder=None), 3)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    small, large = (kept_bytes(network, size, size, None) for size in (64, 512))
    assert large == pytest.approx(64 * small, rel=0.05)
    assert small > 64 * 64 * 16 * 4  # at least the first convolution's output
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert check_memory(network, 1, (64, 64), None, torch.device("cpu")) < 100e6


def test_depthwise_in_float32_changes_nothing_but_precision() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(8, 8, 3, padding=1, groups=8), torch.nn.Conv2d(8, 4, 1)
    )
    x = torch.randn(1, 8, 6, 6)
    before = network(x)
    assert depthwise_in_float32(network) == 1
    assert torch.equal(network(x), before)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), before, rtol=0.05, atol=0.05)


def test_two_processes_train_one_model(tmp_path: Path) -> None:
    """Lightning's own strategy for several devices (ddp), here two processes of a CPU."""
    job = write(
        tmp_path,
        machine={"accelerator": "cpu", "devices": 2, "strategy": "ddp"},
        schedule={"batch": 2, "epochs": 2},
    )
    command = [sys.executable, "-m", "segpipe", "train", "-c", str(job), "-q"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=HANG_S, check=False, env=env
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "trained 2 epochs (4 steps)" in done.stdout  # 8 images, 2 processes of 2


def test_wrong_command_lines(tmp_path: Path, segpipe: Run) -> None:
    code, _, err = segpipe("train", "-c", tmp_path / "no.yaml")
    assert (code, "can't be read" in err) == (2, True)
    code, _, err = segpipe("train", "-c", write(tmp_path), "--set", "schedule.epoch=3")
    assert (code, "unknown key 'schedule.epoch'" in err) == (2, True)
    assert not (tmp_path / "run").exists()


@pytest.mark.gpu
def test_a_gpu_trains_in_mixed_precision(tmp_path: Path) -> None:
    done = train_and_measure(
        job_of(tmp_path, machine={"accelerator": "auto", "loaders": 2}, schedule={"epochs": 8}),
        progress=False,
    )
    assert done.report.peak_gpu_bytes > 0
    assert done.evaluation.tally.mean_iou > 0.5
    assert "on a GPU (" in (tmp_path / "run" / "model" / "README.md").read_text()


def test_resume_with_everything_that_draws(tmp_path: Path) -> None:
    """Dropout, batch normalisation, pasting, balance and loader processes: all go on as if nothing
    had happened."""
    over: dict[str, Any] = {
        "network": {
            "architecture": "FPN",
            "encoder": "resnet18",
            "weights": "none",
            "options": {"decoder_dropout": 0.5},
        },
        "input": {"multiple_of": 32},
        "augmentation": {"paste": 0.5, "paste_classes": ["car"]},
        "schedule": {"epochs": 3, "balance": 0.5},
        "machine": {"loaders": 2},
        "optimiser": {"rate": 0.001},
    }
    train(job_of(tmp_path, output=str(tmp_path / "whole"), **over), progress=False)
    broken = job_of(tmp_path, output=str(tmp_path / "broken"), **over)
    with pytest.raises(RuntimeError, match="died"):
        train(broken, progress=False, extra=(Dies(1),))
    train(broken, progress=False)
    second = weights_of(tmp_path / "broken")
    for name, value in weights_of(tmp_path / "whole").items():
        torch.testing.assert_close(second[name], value, rtol=1e-5, atol=1e-6)


def test_a_finished_run_stays_finished(tmp_path: Path) -> None:
    job = job_of(
        tmp_path, schedule={"epochs": 60, "patience": 2, "average": 0.0}, optimiser={"rate": 1e-9}
    )
    first = train(job, progress=False)
    again = train(job, progress=False)
    assert (again.epochs, again.steps, again.resumed_from) == (
        first.epochs,
        first.steps,
        first.epochs,
    )
    assert again.miou == first.miou


def test_other_peoples_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "run" / "model" / "mine.txt").write_text("precious")
    for fresh in (False, True):
        with pytest.raises(TrainingError, match="a folder with other things in it"):
            train(job_of(tmp_path), fresh=fresh, progress=False)
    assert (tmp_path / "run" / "model" / "mine.txt").read_text() == "precious"


def test_other_classes_or_images_are_noticed(tmp_path: Path) -> None:
    job = job_of(tmp_path, schedule={"epochs": 1})
    train(job, progress=False)
    (tmp_path / "three.yaml").write_text(
        (tmp_path / "three.yaml").read_text() + "  - {name: tree, common_class: vegetation}\n"
    )
    load_taxonomy.cache_clear()
    with pytest.raises(TrainingError, match=r"other classes, images; go on with the old ones"):
        train(job, progress=False)
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(TrainingError, match=r"run\.json is damaged"):
        train(job_of(tmp_path), progress=False)


def test_a_damaged_checkpoint_is_said(tmp_path: Path) -> None:
    train(job_of(tmp_path, schedule={"epochs": 1}), progress=False)
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(b"half")
    with pytest.raises(TrainingError, match=r"last\.ckpt: the checkpoint can't be read .*--fresh"):
        train(job_of(tmp_path, schedule={"epochs": 1}), progress=False)


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (
        held(tmp_path / "run"),
        pytest.raises(TrainingError, match="another training run is writing there"),
    ):
        train(job_of(tmp_path), progress=False)


def test_weights_that_are_no_numbers_become_no_checkpoint(tmp_path: Path) -> None:
    class Bursts(pl.Callback):
        def on_train_batch_end(
            self, trainer: pl.Trainer, pl_module: pl.LightningModule, *rest: Any
        ) -> None:
            if trainer.global_step == 4:
                next(pl_module.parameters()).data.fill_(float("inf"))

    with pytest.raises(TrainingError, match="the weights are no numbers any more at step 4"):
        train(job_of(tmp_path), progress=False, extra=(Bursts(),))
    assert (
        torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 0
    )
