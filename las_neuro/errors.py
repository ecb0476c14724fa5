"""Every error a user can meet, as one class tree; a message names place, fault and remedy.

    LasError
    |-- CheckpointError    model files: missing, truncated, pickled, NaN, shapes against the config
    |-- ConfigError        config.json or an option is wrong
    |-- UnsupportedError   an architecture, operator or setting las_neuro does not know
    |-- CalibrationError   calibration or evaluation text: missing, empty
    |-- TargetError        the model does not fit the named target
    |-- WidthError         a compartment's state or payload cannot hold what it must
    |-- NetlistError       netlist file: corrupt, truncated, of a newer version
    |-- PromptError        prompt or text against the context
    |-- OutputError        the result cannot be written
    `-- BackendError       a simulator or board is absent, hung or timed out

A command prints a `LasError` as one line and exits with 2; any other exception is a bug, shown
with its traceback.
"""


class LasError(Exception):
    """What is wrong and how to correct it: `error: WHAT; help: REMEDY`."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = " ".join(what.split())
        self.remedy = " ".join(remedy.split())

    def __str__(self) -> str:
        return f"{self.what}; help: {self.remedy}"


class CheckpointError(LasError):
    """A model file is missing, truncated, pickled, holds NaN or contradicts its config."""


class ConfigError(LasError):
    """A config.json or an option has a missing, mistyped or out-of-range value."""


class UnsupportedError(LasError):
    """The model uses an architecture, operator or setting that cannot be converted."""


class CalibrationError(LasError):
    """The calibration or evaluation text is missing, empty or unreadable."""


class TargetError(LasError):
    """The netlist does not fit the target the user named."""


class WidthError(LasError):
    """A value does not fit the target's word."""


class NetlistError(LasError):
    """A netlist file is corrupt, truncated, inconsistent or written by a newer version."""


class PromptError(LasError):
    """A prompt is empty or longer than the context the netlist was compiled for."""


class OutputError(LasError):
    """A result could not be written; nothing partial is left behind."""


class BackendError(LasError):
    """A backend is not installed, hung, or ran out of time."""
