"""Review of many records: the same reasoning over files, an export or a whole country's, and what it shows."""
