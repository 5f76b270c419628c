"""Measuring models on labelled images, comparing them, and the card and ONNX file that they are
shipped with."""
