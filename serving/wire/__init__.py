"""TensorFlow Serving's messages under a package name of our own, importable without TensorFlow.

`messages.proto` says why and how they are regenerated.
"""
