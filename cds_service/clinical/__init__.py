"""The reasoning: plain Python on frozen records, no clock, no disk, no network."""
