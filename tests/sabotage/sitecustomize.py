"""Put before all on PYTHONPATH by tests: files and pictures that crash the decoder, or make it
hang.

Only in a child process that reads: the process of the run itself must never touch such a file.
"""

import os
import signal
import sys
import time

if "segpipe.runtime.isolation.serve" in " ".join(sys.orig_argv):
    import numpy as np

    import segpipe.sources.images.folder as images
    import segpipe.sources.stream.reader as live
    import segpipe.sources.video.file as video

    read_image, upright_rgb = images.read_image, video.upright_rgb
    crash, hang = (
        {int(n) for n in os.environ.get(v, "").split(",") if n}
        for v in ("SABOTAGE_FRAMES", "SABOTAGE_HANGS")
    )

    def sabotaged_image(path, *rest):  # type: ignore[no-untyped-def]
        if "segfault" in path.name:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "hang" in path.name:
            while True:
                pass
        # The first time only: as when the machine ran out of memory for a moment
        if "once" in path.name:
            mark = path.with_suffix(".seen")
            if not mark.exists():
                mark.touch()
                os.abort()
        return read_image(path, *rest)

    def sabotaged_picture(picture):  # type: ignore[no-untyped-def]
        rgb = upright_rgb(picture)
        # Tests/footage.py paints a picture's number as its brightness.
        number = (int(np.median(rgb)) - 20 + 1) // 2
        if number in crash:
            os.kill(os.getpid(), signal.SIGSEGV)
        while number in hang:
            pass
        return rgb

    # Slow files: so many seconds for each image's EXIF, for each packet of a video, for a GPX.
    import segpipe.sources.video.scan as scan
    import segpipe.telemetry.exif as exif

    def slowed(function, variable):  # type: ignore[no-untyped-def]
        def slow(*arguments):  # type: ignore[no-untyped-def]
            time.sleep(float(os.environ[variable]))
            return function(*arguments)

        return slow if variable in os.environ else function

    if "SABOTAGE_GPX_S" in os.environ:
        import gpxpy

        gpxpy.parse = slowed(gpxpy.parse, "SABOTAGE_GPX_S")
    if "SABOTAGE_SPIN" in os.environ:  # reading the index of any video never ends

        def spin(*_):  # type: ignore[no-untyped-def]
            with open(os.environ["SABOTAGE_SPIN"], "a") as file:
                file.write("again\n")
            while True:
                pass

        scan.FieldPairs.is_second = spin
    exif.read_exif = slowed(exif.read_exif, "SABOTAGE_EXIF_S")
    scan.FieldPairs.is_second = slowed(scan.FieldPairs.is_second, "SABOTAGE_PACKET_S")
    images.read_image, video.upright_rgb, live.upright_rgb = (
        sabotaged_image,
        sabotaged_picture,
        sabotaged_picture,
    )
