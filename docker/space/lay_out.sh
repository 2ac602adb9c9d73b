#!/usr/bin/env bash
# Lay out a Space's repository: lay_out.sh FOLDER. Then, with your own account:
#   hf upload OWNER/NAME FOLDER . --repo-type space
set -euo pipefail
folder="$(realpath -m "${1:?lay_out.sh FOLDER}")"
cd "$(dirname "$0")/../.."

mkdir -p "$folder"
# What git knows, so that no scan, run or cache goes along; of the models the newest.
newest="$(git ls-files models/brain_tumor | cut -d/ -f3 | grep -x '[0-9]*' | sort -n | tail -1)"
git ls-files -z data serving ui requirements.txt "models/brain_tumor/$newest" |
  xargs -0 cp --parents --target-directory "$folder"
cp docker/space/{README.md,Dockerfile,start.sh} "$folder"
echo "$folder is a Space's repository, with version $newest of the model"
