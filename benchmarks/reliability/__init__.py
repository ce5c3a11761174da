"""What a run survives: kills at any moment, files of strangers, and long times."""
