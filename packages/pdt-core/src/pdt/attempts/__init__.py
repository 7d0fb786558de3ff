"""Attempts: one execution of a job, told apart from its job, and what is known of it across controllers."""

from .book import AttemptBook, Claim, Decision
from .policy import Retry, Verdict, decide
from .recover import Finding, Step, next_step

__all__ = ["AttemptBook", "Claim", "Decision", "Finding", "Retry", "Step", "Verdict", "decide", "next_step"]
