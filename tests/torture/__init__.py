"""A corpus of hostile files, and what it takes to run segpipe over it."""
