"""From a prepared dataset to a calibrated, exported and evaluated model."""
