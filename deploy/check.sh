#!/usr/bin/env bash
# Checks the manifests for Kubernetes (check.py), with a schema checker in an environment of its own below target/.
set -euo pipefail
cd "$(dirname "$0")/.."

environment=${CARGO_TARGET_DIR:-target}/deploy-check
wanted=kubernetes-validate==1.37.0
if [ "$(cat "$environment/installed" 2>/dev/null)" != "$wanted" ]; then
  python3 -m venv "$environment" || {
    echo "deploy/check.sh needs Python 3 with venv: apt-get install python3-venv" >&2
    exit 1
  }
  "$environment/bin/pip" install --quiet --disable-pip-version-check "$wanted"
  echo "$wanted" >"$environment/installed"
fi
exec "$environment/bin/python" deploy/check.py
