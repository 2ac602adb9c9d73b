"""The page and the HTTP API around one analyse function; TensorFlow is never imported here."""
