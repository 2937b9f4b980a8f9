"""Rules that need more than the ten words of a formula; the content calls them by name."""

from cds_service.clinical.functions import laboratory, medicines, places, strength, studies
from cds_service.clinical.functions.registry import DECLARED, NAMED

__all__ = ["DECLARED", "NAMED", "laboratory", "medicines", "places", "strength", "studies"]
