#!/bin/bash
# Exit 0 if a model server on this machine says that a version is AVAILABLE: model_available [PORT [MODEL]]
#
# TensorFlow Serving's image has neither curl nor Python, but bash can open a connection.
set -euo pipefail
port="${1:-8501}" model="${2:-brain_tumor}"
exec 3<>"/dev/tcp/127.0.0.1/${port}"
printf 'GET /v1/models/%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "${model}" >&3
grep --quiet '"state": *"AVAILABLE"' <&3
