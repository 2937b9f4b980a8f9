"""The errors this service names. Anything else that is raised is our own bug."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault: where it is, what is wrong and what to do. Never a patient's value."""

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" – {self.remedy}" if self.remedy else "")


class ContentError(Exception):
    """The clinical content has faults; the service must not start. All of them at once."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class RequestError(Exception):
    """A request that cannot be answered, with the HTTP status that says so."""

    def __init__(self, status: int, *faults: Fault, code: str = "invalid") -> None:
        self.status = status
        self.faults = faults
        self.code = code
        super().__init__("; ".join(str(fault) for fault in faults))


class UnreadableError(Exception):
    """One resource of a chart that is not of the shape FHIR gives it; it becomes a data gap."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")


class SettingsError(Exception):
    """A setting has a value the service will not start with."""


class StoreError(Exception):
    """The store cannot be reached or fails. It names the kind of the error, never what was to be stored."""


class ReviewError(Exception):
    """A review of many records cannot begin or go on. It names no patient."""
