"""Reads and checks the clinical content; it compiles it into closures once, at start."""
