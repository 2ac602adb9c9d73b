# The model server: TensorFlow Serving with our settings, for CPU or GPU, with or without the models inside.
#
#   docker build -f docker/serving.Dockerfile -t brain-tumour/serving .
#   docker build -f docker/serving.Dockerfile -t brain-tumour/serving:gpu \
#     --build-arg BASE=tensorflow/serving:2.20.0-gpu .
#   --build-arg MODELS=baked    the published versions become a part of the image; otherwise mount them
#                               at /models/brain_tumor
ARG BASE=tensorflow/serving:2.20.0
ARG MODELS=mounted

# hadolint ignore=DL3006
FROM ${BASE} AS mounted

# hadolint ignore=DL3006
FROM ${BASE} AS baked
COPY models/brain_tumor /models/brain_tumor

# hadolint ignore=DL3006
FROM ${MODELS}
COPY serving/config/ /etc/serving/
COPY --chmod=755 docker/model_available.sh /usr/local/bin/model_available
COPY --chmod=755 docker/if_whole.sh /usr/local/bin/if_whole
USER 10001:10001
EXPOSE 8500 8501
# A version is loaded and warmed up before it is AVAILABLE: on a cold disk that takes a while.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["model_available"]
# The check of digests ends by becoming the binary, with no shell script above it: signals must reach it. It has no
# handler of its own for SIGTERM, so that as process 1 it would ignore it: run it under an init (`docker run --init`).
# Threads: as many as the batches that may wait have images, or requests are refused before batches fill.
ENTRYPOINT ["if_whole", "/usr/bin/tensorflow_model_server", \
  "--port=8500", \
  "--rest_api_port=8501", \
  "--grpc_max_threads=96", \
  "--rest_api_num_threads=96", \
  "--file_system_poll_wait_seconds=1", \
  "--max_num_load_retries=5", \
  "--enable_batching=true", \
  "--monitoring_config_file=/etc/serving/monitoring.config"]
CMD ["--model_name=brain_tumor", \
  "--model_base_path=/models/brain_tumor", \
  "--batching_parameters_file=/etc/serving/batching-2-cores.config"]
