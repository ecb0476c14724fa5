"""The account of a run: `audit` makes it, `write_report` shows it."""

from hwsim.audit.audit import Audit, audit
from hwsim.audit.latency import StepTime
from hwsim.audit.report import render, write_report

__all__ = ["Audit", "StepTime", "audit", "render", "write_report"]
