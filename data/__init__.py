"""From any pile of scans to a validated, de-duplicated, group-split, model-ready dataset."""
