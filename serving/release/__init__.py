"""Release management: publish a version, list, label, roll back, prune and verify versions."""
