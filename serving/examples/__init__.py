"""What `serving/README.md` runs and measures."""
