"""What watches a training run: its history with curves, the average of its weights."""

from __future__ import annotations

import csv
import logging
import signal
import threading
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn

from segpipe.runtime.files.atomic import publish, temp_path

log = logging.getLogger(__name__)
_TELL_EVERY_S = 30.0


def moving_average(decay: float) -> WeightAveraging:
    """Lightning's exponential moving average of weights and buffers: what is validated,
    checkpointed and kept."""
    return WeightAveraging(use_buffers=True, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


class StopsBetweenBatches(Callback):
    """Ctrl-C ends training after the batch in work; a second one ends it at once.

    Raised just anywhere, a KeyboardInterrupt can fall into a finaliser, where Python drops it, or
    into a lock.
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: Any = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if threading.current_thread() is threading.main_thread():  # Python takes signals there only
            self._before = signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: Any) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def _stop(self) -> None:
        if self._asked:
            raise KeyboardInterrupt

    def on_train_batch_end(self, *rest: Any) -> None:
        self._stop()

    def on_validation_batch_end(self, *rest: Any) -> None:
        self._stop()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)


class History(Callback):
    """One row for each epoch, in `history.csv`, and the curves drawn from it; a resumed run goes on
    with the rows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, float]] = []
        self.seconds = 0.0
        self._since = self._told_s = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self.seconds = list(state_dict["rows"]), float(state_dict["seconds"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seconds += time.monotonic() - self._since
        self._since = time.monotonic()
        row: dict[str, float] = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "seconds": round(self.seconds, 1),
        }
        validated = (trainer.current_epoch + 1) % int(trainer.check_val_every_n_epoch or 1) == 0
        for name, value in trainer.callback_metrics.items():
            if (
                name.endswith("_step")
                or name.startswith("lr-")
                or name == "train/loss"
                or (name.startswith("val/") and not validated)
            ):
                continue
            row[name.removesuffix("_epoch")] = float(value)
        row["rate"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        self.rows.append(row)
        if trainer.is_global_zero:
            self.write(draw=validated)
            self._tell(row, trainer.max_epochs)

    def _tell(self, row: dict[str, float], epochs: int | None) -> None:
        """A line in the log now and then, for where there is no bar."""
        if time.monotonic() - self._told_s >= _TELL_EVERY_S:
            self._told_s = time.monotonic()
            score = f", mIoU {100 * row['val/miou']:.1f} %" if "val/miou" in row else ""
            log.info("epoch %d of %s%s", row["epoch"], epochs, score)

    def write(self, draw: bool = True) -> None:
        """Write `history.csv` and `curves.png`."""
        from segpipe.training.curves import draw_curves

        columns = list(dict.fromkeys(k for row in self.rows for k in row))
        path = self.folder / "history.csv"
        with temp_path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        publish(path)
        if draw:
            draw_curves(self.rows, self.folder / "curves.png")
