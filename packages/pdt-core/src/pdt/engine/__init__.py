"""The engine: pure decisions first, effects last."""
