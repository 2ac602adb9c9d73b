#!/usr/bin/env bash
# Execute the steps of the Dockerfiles where there is no Docker engine and no Docker Hub: build_without_engine.sh
# ALL=1 adds those of training and of the Space, which install TensorFlow: 10 GB of disk for a while.
#
# Needs root, debootstrap, buildah and bubblewrap of Debian 12. The base images are made of Debian's packages and
# bear the official names; the real ones differ (Python is built otherwise, tensorflow/serving is Ubuntu with the
# server in it), so that this shows that the steps run, what they leave behind, and that the page starts from it.
set -euo pipefail
cd "$(dirname "$0")/.."
work="$(mktemp --directory)"
export BUILDAH_ISOLATION=chroot
buildah=(buildah --storage-driver vfs --root "$work/store" --runroot "$work/run")
trap 'kill $(jobs -p) 2>/dev/null || true; "${buildah[@]}" umount --all >/dev/null; rm -rf "$work"' EXIT

debootstrap --variant=minbase --include=ca-certificates,python3-pip,python3-venv bookworm "$work/base" >"$work/log"
base="$("${buildah[@]}" from scratch)"
root="$("${buildah[@]}" mount "$base")"
cp -a "$work/base/." "$root"
ln -s /usr/bin/python3 "$root/usr/local/bin/python"
# The official image is its own, and pip installs where it likes there.
rm "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
# This machine may trust an authority of its own, and reach its packages through it.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
"${buildah[@]}" config --env PATH=/usr/local/bin:/usr/bin:/bin \
  --env PIP_CERT=/etc/ssl/certs/ca-certificates.crt --cmd python3 "$base"
for name in python:3.11-slim tensorflow/serving:2.20.0; do
  case $name in */*) full="docker.io/$name" ;; *) full="docker.io/library/$name" ;; esac
  "${buildah[@]}" commit --quiet "$base" "$full" >>"$work/log"
done

build() { # DOCKERFILE TAG ARGUMENTS…: its root file system
  "${buildah[@]}" bud --quiet --format docker --network host --pull-never --tag "$2" "${@:3}" \
    --file "$1" . >>"$work/log"
  "${buildah[@]}" mount "$("${buildah[@]}" from --pull-never "localhost/$2")"
}
megabytes() { echo "$(($(du --summarize --bytes "$1" | cut -f1) / 1000000)) MB"; }

baked="$(build docker/serving.Dockerfile serving:baked --build-arg MODELS=baked)"
test -f "$baked/models/brain_tumor/3/saved_model.pb"
# The default, named: this buildah does not find a stage by an argument's default.
mounted="$(build docker/serving.Dockerfile serving:mounted --build-arg MODELS=mounted)"
test ! -e "$mounted/models" && test -x "$mounted/usr/local/bin/model_available"
test -f "$mounted/etc/serving/batching-2-cores.config"
echo "serving: both variants built; the models are in one and not in the other"

page="$(build docker/ui.Dockerfile ui)"
if find "$page" -iname '*tensorflow*' -not -path "$page/app/*" | grep .; then exit 1; fi
echo "ui: built, $(megabytes "$page") of which the base is $(megabytes "$root"); no TensorFlow"

bwrap --die-with-parent --ro-bind "$page" / --dev /dev --proc /proc --tmpfs /tmp --chdir /app --clearenv \
  --setenv PATH /venv/bin:/usr/bin:/bin --setenv HOME /tmp --setenv UI_PORT 17860 \
  --unshare-user --uid 10001 --gid 10001 --cap-drop ALL python -m ui >"$work/page" 2>&1 &
for _ in $(seq 120); do
  if curl --silent --fail --output "$work/health" http://127.0.0.1:17860/healthz; then break; fi
  jobs -r | grep --quiet . || { cat "$work/page"; exit 1; }
  sleep 1
done
grep '"ok"' "$work/health"
echo "ui: runs from its image, read-only, as user 10001"

if [ -n "${ALL:-}" ]; then
  training="$(build docker/training.Dockerfile training)"
  chroot "$training" /bin/sh -c 'cd /app && python3 -m training --help && python3 -m serving publish --help' >>"$work/log"
  echo "training: built, $(megabytes "$training"); its commands start"
  docker/space/lay_out.sh "$work/space" >>"$work/log"
  cd "$work/space"
  space="$(build Dockerfile space)"
  chroot "$space" /bin/sh -c 'cd /app && python3 -m serving run --help && python3 -m ui --help' >>"$work/log"
  echo "space: built, $(megabytes "$space"); both its programs start"
fi
