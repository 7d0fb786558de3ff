"""Scripts made from templates, in which a value is always one value."""

from __future__ import annotations

from .errors import TemplateError
from .template import Template

__all__ = ["Template", "TemplateError"]
