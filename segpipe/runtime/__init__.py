"""How work is run, whatever it is: child processes, threads, files, stopping."""
