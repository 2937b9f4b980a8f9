"""The knowledge as FHIR R4 artefacts that other systems can load: value sets, orders, rules, form and library."""
