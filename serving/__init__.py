"""The contract of the served model, its client, the local server and version management."""
