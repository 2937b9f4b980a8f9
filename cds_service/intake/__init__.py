"""From the bytes of a request to a chart; raw FHIR ends here."""
