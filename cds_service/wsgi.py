"""The entry for any WSGI server: ``gunicorn cds_service.wsgi:app``."""

from cds_service.web import create_app

app = create_app()
