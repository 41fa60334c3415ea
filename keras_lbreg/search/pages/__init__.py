"""What a search leaves behind: tables, plots, a report, a configuration."""
