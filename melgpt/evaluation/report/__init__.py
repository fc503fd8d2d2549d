"""What an evaluation found, as one page that works offline, and as JSON beside it."""

from melgpt.evaluation.report.write import write_report

__all__ = ["write_report"]
