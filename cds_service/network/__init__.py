"""Outgoing calls: to FHIR servers the operator has allowed, and to nobody else."""
