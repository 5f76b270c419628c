"""What is measured of a frame: class statistics, regions, quality, the ego mask."""
