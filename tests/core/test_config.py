"""The job: unknown keys, wrong values and odd spellings are refused with what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from segpipe.core.config.job import Job, apply_sets, make_job, read_yaml
from segpipe.core.errors import ConfigError
from segpipe.core.redact import redact

GOOD = {"inputs": ["a.mp4"], "output": "out"}


def test_defaults_and_sets() -> None:
    job = make_job(
        apply_sets(GOOD, ["sampling.every_n=5", "model.source=smp:./x", "worker.batch_size=2"])
    )
    assert (job.sampling.every_n, job.model.source, job.worker.batch_size) == (5, "smp:./x", 2)
    assert make_job(GOOD).sampling.every_n is None


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (
            ["sampling.evry_n=5"],
            "unknown key 'sampling.evry_n' .allowed there: every_n, per_second, every_m, keyframes",
        ),
        (["nonsense=1"], "unknown key 'nonsense' .allowed there: inputs, output"),
        (["sampling.every_n=0"], "sampling.every_n: .*greater than or equal to 1 .found 0"),
        (["sampling.every_n=2", "sampling.per_second=1"], "exclude each other"),
        (["model.precision=int8"], "model.precision: .*'float32'"),
        (["sampling.every_n"], "give it as key=value"),
        (["output.x=1"], "output is a value"),
        (["sampling={"], "no valid YAML"),
    ],
)
def test_what_is_refused(sets: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_job(apply_sets(GOOD, sets))


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "not valid YAML"), ("- 1", "a mapping of keys is needed"), (None, "can't be read")],
)
def test_bad_files(text: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_yaml(path)


def test_every_setting_is_described() -> None:
    """Prefect's form shows these texts."""

    def missing(schema: dict) -> list[str]:  # type: ignore[type-arg]
        parts = [schema, *schema.get("$defs", {}).values()]
        return [
            name
            for part in parts
            for name, field in part.get("properties", {}).items()
            if "description" not in field and "$ref" not in field
        ]

    assert missing(Job.model_json_schema()) == []


@pytest.mark.parametrize(
    "text",
    [
        "inputs=[rtsp://u:p@h/r?channel=1,rtsp://u2:hidden@h2/r?channel=2]",
        "found 'rtsp://u:hid'den@h/x'",
        "rtsp://u:hid den@h/x bad",
        "rtsp://u:hid<den@h:554/x",
        "rtsp://u:hid/den@h/x",
        "http://h/x?token=hidden",
        "http://h/x?channel=1,rtsp://u:hidden@h",
        "s3://KEY:hidden@bucket/x: no",
        "rtsp://hidden@h/x",
    ],
)
def test_secrets_of_urls_are_not_shown(text: str) -> None:
    shown = redact(text)
    assert "hid" not in shown
    assert "den@" not in shown
    assert "***" in shown


def test_what_is_no_secret_is_shown() -> None:
    for text in (
        "see http://a.b/c and mail me@x",
        "rtsp://h/x?channel=1&subtype=0",
        "C://x",
        "no URL at all",
        "s3://bucket/x.",
    ):
        assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "until: 2027-05-01T18:00:00Z",
        "until: '2027-05-01T18:00:00+00:00'",
        "duration: 90",
        "duration: 1h30m",
    ],
)
def test_times_of_streams_as_people_write_them(text: str) -> None:
    job = make_job({"inputs": ["rtsp://h/x"], "output": "y", "stream": yaml.safe_load(text)})
    assert job.stream.until in {None, "2027-05-01T18:00:00+00:00"}
    assert job.stream.duration in {None, "90", "1h30m"}


@pytest.mark.parametrize(
    "text",
    [
        "until: 2027-05-01",
        "until: tomorrow",
        "duration: ''",
        "duration: 0",
        "duration: " + "9" * 400,
    ],
)
def test_times_of_streams_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is no (duration|moment)|ten years|valid string"):
        make_job({"inputs": ["rtsp://h/x"], "output": "y", "stream": yaml.safe_load(text)})
