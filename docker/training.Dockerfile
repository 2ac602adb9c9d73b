# Everything but the page: prepare data, train, export, publish and look after versions.
#
#   docker build -f docker/training.Dockerfile -t brain-tumour/training .
#   --build-arg REQUIREMENTS=docker/requirements-cuda.txt    with NVIDIA's libraries, some 3 GB more
FROM python:3.11-slim
ARG REQUIREMENTS=requirements.txt
WORKDIR /app
COPY ${REQUIREMENTS} requirements.txt
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt
COPY data data
COPY docker/compare_answers.py docker/
COPY serving serving
COPY training training
RUN python -m compileall -q data serving training
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=2 \
    HOME=/tmp
USER 10001:10001
ENTRYPOINT ["python", "-m"]
CMD ["training", "--help"]
