"""A small model server that speaks TensorFlow Serving's API: for the demo, tests and machines without Docker.

What it does, it does as TensorFlow Serving 2.20 does it, down to the texts of errors; `serving/README.md`
says where it differs on purpose. `tests/conformance` holds both to the same answers.
"""
