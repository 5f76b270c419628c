"""Training segmentation models on labelled images."""
