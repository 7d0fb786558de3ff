"""The pdt command."""
