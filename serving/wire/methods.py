"""Official method paths of TensorFlow Serving's gRPC services."""

from typing import Final

PREDICT: Final = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_METADATA: Final = "/tensorflow.serving.PredictionService/GetModelMetadata"
GET_MODEL_STATUS: Final = "/tensorflow.serving.ModelService/GetModelStatus"
