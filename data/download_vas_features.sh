#!/usr/bin/env bash
# Download the VAS mel spectrograms into vas/, where training reads them. Options: melgpt fetch --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./melgpt.sh
exec "${melgpt[@]}" fetch vas ./vas "$@"
