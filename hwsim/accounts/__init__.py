"""The account of a run: `audit` computes it, `write_report` writes it as a page."""

from hwsim.accounts.audit import Audit, audit
from hwsim.accounts.latency import StepTime
from hwsim.accounts.report import render, write_report

__all__ = ["Audit", "StepTime", "audit", "render", "write_report"]
