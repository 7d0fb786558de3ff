"""The errors that pdt raises on purpose: each says what is wrong, where, and how to mend it."""

from __future__ import annotations

from typing import Any

__all__ = [
    "BackendError",
    "ConfigurationError",
    "CorruptRecordError",
    "HeldError",
    "InvalidJobIdError",
    "NotFoundError",
    "PdtError",
    "PipelineNotOpenError",
    "PluginError",
    "SessionNotOpenError",
    "TaskConfigurationError",
    "UnknownBackendError",
    "UnlaunchableError",
]


class PdtError(Exception):
    """Base of every error that pdt raises on purpose.

    :param message: what is wrong, and where.
    :param fix: what the user can do about it, printed on a line of its own.
    """

    exit_code = 1

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}\nfix: {self.fix}" if self.fix else self.message

    def __reduce__(self) -> Any:
        # Subclasses differ in their constructors, and what cannot be unpickled breaks a process pool.
        return (_restored, (type(self), self.args, self.__dict__))


def _restored(kind: type[PdtError], args: tuple[Any, ...], state: dict[str, Any]) -> PdtError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ConfigurationError(PdtError):
    """A pipeline, task or repository was put together wrongly."""

    exit_code = 2


class TaskConfigurationError(ConfigurationError, NameError):
    """A task's body asks for something that the task does not provide."""


class NotFoundError(PdtError, LookupError):
    """A task, link or job that was named does not exist."""

    exit_code = 3


class BackendError(PdtError):
    """A store or an executor failed, or did not answer in time."""

    exit_code = 5


class CorruptRecordError(PdtError, ValueError):
    """A stored record cannot be read.

    :param store: the repository that holds it, as a person would name it.
    :param job: its key.
    :param reason: what is wrong with it.
    :param file: Optional: the file that holds nothing else.
    """

    exit_code = 5

    def __init__(self, store: str, job: str, reason: str, *, file: str | None = None) -> None:
        where = f", file {file}," if file else ""
        super().__init__(
            f"record {job!r} in {store}{where} is corrupt: {reason}",
            fix=f"repair record {job!r}, or remove it and write it anew; what needs it is tried again in the next run",
        )
        self.store = store
        self.job = job
        self.reason = reason


class HeldError(PdtError):
    """Another controller holds this pipeline."""

    exit_code = 6
    #: Whether that one shares it, so that there may be more of them.
    is_shared = False


class InvalidJobIdError(PdtError, KeyError, ValueError):
    """A text that may not be a job id was used as one.

    :param job: the offending text.
    :param reason: which rule it breaks.
    :param fix: what a job id has to be.
    """

    exit_code = 2

    def __init__(self, job: object, reason: str, *, fix: str | None = None) -> None:
        shown = ascii(job)
        if len(shown) > 80:
            shown = f"{shown[:77]}..."
        super().__init__(f"{shown} is not a valid job id: {reason}", fix=fix)
        self.job = job


class SessionNotOpenError(PdtError, RuntimeError):
    """A session's resource was asked for while the session is closed."""


class PipelineNotOpenError(PdtError, RuntimeError):
    """A pipeline was used while it is closed."""


class PluginError(PdtError):
    """A plugin cannot be used as it was asked for."""

    exit_code = 2


class UnknownBackendError(PluginError, LookupError):
    """No installed plugin provides the kind and name that were asked for."""

    exit_code = 3


class UnlaunchableError(PdtError):
    """A job can never be started as it is: trying again is of no use."""
