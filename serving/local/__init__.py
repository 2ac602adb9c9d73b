"""A small model server that speaks TensorFlow Serving's API: for the demo, tests and machines without Docker.

What it does, it does as TensorFlow Serving 2.20 does it, down to the texts of errors; what it leaves
out (labels, batching, reload by request) is answered with the same errors an unknown request gets.
"""
