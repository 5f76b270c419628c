"""What people look at: overlays and summaries."""
