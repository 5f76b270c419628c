"""Live streams: connecting, arrival times, gaps, coming back."""
