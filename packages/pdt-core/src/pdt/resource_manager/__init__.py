"""Resources: amounts, and quotas on them."""

from .manager import ResourceManager
from .quantity import parse_quantity
from .resources import Resources, ResourceType

__all__ = ["ResourceManager", "ResourceType", "Resources", "parse_quantity"]
