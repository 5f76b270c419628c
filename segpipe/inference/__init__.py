"""From a frame at the network's size to labels and statistics: models, the worker, measures."""
