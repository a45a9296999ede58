"""The report on brands: tables, pictures, a page."""

from marketorch.listening.report.brand_report import brand_report

__all__ = ["brand_report"]
