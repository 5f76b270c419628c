"""Files and folders, on a disk or an object store: written whole or not at all."""
