"""Video files: the packet index, the order of pictures, decoding."""
