"""Small inputs that once came out wrong, each with its right answer: `make cases` prints the table.

The files lie outside of the repository. Each answer was found with another program, or is known
from how the file was made.
"""
