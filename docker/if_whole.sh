#!/bin/bash
# Start a model server unless a version was tampered with: if_whole SERVER FLAGS…
#
# TensorFlow Serving loads whatever lies in a version's directory. Every version that has digests is compared with them
# first: contents, and names, for what was added. A damaged one keeps the server from starting, since there is no flag
# that would keep it from loading just that one. A version without SHA256SUMS passes: it was never published.
set -euo pipefail
shopt -s nullglob

refuse() {
  echo "$1 is not as it was published: $2. The model server does not start; publish it again or take it away." >&2
  exit 1
}

check() (
  cd "$1"
  sha256sum --check --strict --quiet SHA256SUMS >&2 || refuse "$1" "files are changed or missing"
  # What is no directory, links too.
  diff <(find . ! -type d ! -path ./SHA256SUMS -printf '%P\n' | LC_ALL=C sort) \
    <(cut -c 67- SHA256SUMS | LC_ALL=C sort) >&2 || refuse "$1" "there are other files"
)

for flag in "$@"; do
  case "${flag}" in
    --model_base_path=*) base="${flag#*=}" ;;
    --model_config_file=*) base="$(dirname "${flag#*=}")" ;;
    *) continue ;;
  esac
  for sums in "${base}"/[1-9]*/SHA256SUMS; do
    check "${sums%/*}"
  done
done
exec "$@"
