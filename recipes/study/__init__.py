"""What all recipes share: how they are run, and how their pages are made."""
