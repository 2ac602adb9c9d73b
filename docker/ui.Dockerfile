# The page and the HTTP API, without TensorFlow.
#
#   docker build -f docker/ui.Dockerfile -t brain-tumour/ui .
#   docker run --init --read-only --tmpfs /tmp -p 127.0.0.1:7860:7860 -e UI_SERVER=HOST:8500 brain-tumour/ui
FROM python:3.11-slim AS packages
WORKDIR /build
COPY docker/requirements-ui.txt .
RUN python -m venv /venv && \
    /venv/bin/pip install --no-cache-dir --disable-pip-version-check \
      --require-hashes -r requirements-ui.txt

FROM python:3.11-slim
COPY --from=packages /venv /venv
WORKDIR /app
COPY data data
COPY serving serving
COPY ui ui
# Compiled here: the root file system is read-only later.
RUN /venv/bin/python -m compileall -q data serving ui
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    UI_HOST=0.0.0.0
USER 10001:10001
EXPOSE 7860
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", \
  "import urllib.request as http; http.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
ENTRYPOINT ["python", "-m", "ui"]
