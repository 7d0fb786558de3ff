"""The reference's name for what `pdt.streams` holds."""

from .streams import *  # noqa: F403
from .streams import __all__ as __all__
