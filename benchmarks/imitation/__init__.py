"""What of an imitation matters: one thing changed at a time, several seeds each."""
