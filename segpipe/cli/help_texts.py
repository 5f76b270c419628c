"""What help shows of every command besides its arguments: what it writes, and an example."""

from __future__ import annotations

OUTPUTS = {
    "run": "writes the dataset OUT and prints a summary.",
    "query": "prints the rows as a table and writes no file.",
    "info": "prints a summary and writes no file.",
    "overlay": "writes overlay.mp4; -o names another file.",
    "sample": "writes drive.mp4, drive.gpx, classes.json and labels/ into the folder DIR.",
    "models": "prints a list and writes no file.",
    "schema": "prints JSON and writes no file.",
    "bench": "prints a table; --json prints JSON.",
    "events": "prints a table; -o also writes a layer.",
    "aggregate": "prints a table; -o and --picture write files in its place.",
    "diff": "prints a table; -o and --picture write files in its place.",
    "verify": "prints a report and changes nothing; only --repair does.",
    "migrate": "rewrites the dataset OUT, where it is of an earlier schema version.",
    "errors": "prints a list and writes no file.",
    "forget": "takes the rows out and prints how many frames they were of.",
    "relocate": "notes the new addresses and prints how many files they are.",
    "report": "writes report.html; -o names another file.",
    "train": "writes the model, its evaluation and checkpoints into the folder `output` of FILE.",
    "evaluate": "prints a table; -o OUT also writes files.",
    "compare": "prints a table; -o OUT also writes files.",
    "export": "writes a model to model.onnx; -o names another file. A dataset needs -o FOLDER.",
}
"""What each command prints or writes by default."""

EXAMPLES = {
    "run": "run clips/ photos/*.jpg -o dataset -c configs/dashcam.yaml",
    "query": "query dataset \"SELECT count(*) FROM frames WHERE status = 'ok'\"",
    "info": "info dataset",
    "overlay": "overlay dataset -o overlay.mp4",
    "sample": "sample drive --seconds 10 --images",
    "models": "models",
    "schema": "schema job",
    "bench": "bench clip.mp4 --frames 60",
    "events": "events dataset --where \"class = 'pedestrian' and region = 'path' and "
    'pixel_fraction * largest_component_fraction > 0.01" -o events.geojson',
    "aggregate": "aggregate dataset --by h3:10 -o layer.parquet --picture layer.png",
    "diff": "diff spring autumn --by h3:10 -o change.parquet",
    "verify": "verify dataset --footage",
    "migrate": "migrate dataset",
    "errors": "errors dataset --class transient",
    "forget": "forget dataset /media/card/0001.mp4",
    "relocate": "relocate dataset /media/card /archive/2026-05-01",
    "report": "report dataset -o report.html",
    "train": "train -c configs/train-drive.yaml",
    "evaluate": "evaluate builtin:street drive -o evaluation",
    "compare": "compare builtin:street smp:runs/drive/model drive -o comparison",
    "export": "export dataset --format masks-png -o masks",
}
"""A command line of each command, after `segpipe`."""
