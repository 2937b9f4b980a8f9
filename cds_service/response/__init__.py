"""Writes an assessment as CDS Hooks cards."""
