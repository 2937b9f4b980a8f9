"""The content as a book: every rule in plain words, on pages that the service, a folder and the workbench share."""
