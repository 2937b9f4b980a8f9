"""The entry for any WSGI server: ``gunicorn cds_service.wsgi:app``."""

from cds_service.settings import read_settings
from cds_service.web import create_app
from cds_service.workbench import is_on, register_workbench

_settings = read_settings()
# The address is the server's business here and not known, so the workbench must be asked for.
app = create_app(_settings, workbench=is_on(_settings))
register_workbench(app, is_on(_settings))
