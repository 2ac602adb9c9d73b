#!/bin/sh
# Keep a folder of versions as an object store has it: fetch_versions.sh SOURCE FOLDER [SECONDS]
#
# A server must never see a part of a version: each is fetched beside the others, checked against its SHA256SUMS and
# then renamed. One whose upload is not over yet fails the check, and is tried again. models.config comes once all
# of the versions are there, so that no label runs ahead of its version.
set -eu
source="$1" folder="$2" pause="${3:-10}"
incoming="$folder/.incoming"

fetch() {
  # A store that does not answer, or is empty, is no reason to take anything away.
  listed="$(rclone lsf "$source")" || return 1
  versions="$(echo "$listed" | sed -n 's|^\([0-9][0-9]*\)/$|\1|p')"
  [ -n "$versions" ] || return 1
  all_here=true
  for version in $versions; do
    [ -e "$folder/$version" ] && continue
    if rclone sync "$source/$version" "$incoming/$version" &&
      (cd "$incoming/$version" && sha256sum -c SHA256SUMS >/dev/null 2>&1); then
      mv "$incoming/$version" "$folder/$version"
      echo "version $version is here"
    else
      all_here=false
    fi
  done
  "$all_here" || return 1
  if echo "$listed" | grep -qx models.config; then
    rclone copyto "$source/models.config" "$incoming/models.config" || return 1
    mv "$incoming/models.config" "$folder/models.config"
  fi
  for path in "$folder"/[0-9]*; do
    version="$(basename "$path")"
    echo "$versions" | grep -qx "$version" && continue
    mv "$path" "$incoming/gone"
    rm -rf "$incoming/gone"
    echo "version $version is gone"
  done
}

trap 'exit 0' INT TERM
mkdir -p "$incoming"
while :; do
  fetch || echo "not everything could be fetched; again in $pause s" >&2
  sleep "$pause" &
  wait $!
done
