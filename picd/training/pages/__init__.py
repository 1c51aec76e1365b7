"""Random but plausible web and desktop pages as HTML: ``page_html`` is a function of its seed."""

from picd.training.pages.compose import KINDS, Page, page_html

__all__ = ["KINDS", "Page", "page_html"]
