#!/usr/bin/env bash
# The model server, for this container only, and the page in front of it; when either ends, so does the other.
set -euo pipefail
cd "$(dirname "$0")"
port="${PORT:-7860}" grpc_port="${GRPC_PORT:-8500}" rest_port="${REST_PORT:-8501}"

python -m serving run --model-base-path models/brain_tumor --port "$grpc_port" --rest-api-port "$rest_port" &
python -m ui --server "127.0.0.1:$grpc_port" --host "${HOST:-0.0.0.0}" --port "$port" &
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
trap 'exit 0' INT TERM
wait -n
