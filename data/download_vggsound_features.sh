#!/usr/bin/env bash
# Download the VGGSound mel spectrograms into vggsound/, where training reads them. Options: melgpt fetch --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./melgpt.sh
exec "${melgpt[@]}" fetch vggsound ./vggsound "$@"
