"""One trial: its folder and its process."""
