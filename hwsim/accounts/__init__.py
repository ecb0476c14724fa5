"""The account of a run: `audit` makes it, `write_report` shows it."""

from hwsim.accounts.audit import Audit, audit
from hwsim.accounts.latency import StepTime
from hwsim.accounts.report import render, write_report

__all__ = ["Audit", "StepTime", "audit", "render", "write_report"]
