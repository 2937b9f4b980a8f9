"""The entry for any WSGI server: ``gunicorn cds_service.wsgi:app``."""

from cds_service.settings import read_settings
from cds_service.workbench import create_whole_app

# The address is the server's business here and not known, so the workbench must be asked for.
app = create_whole_app(read_settings())
