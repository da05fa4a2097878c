#!/usr/bin/env bash
# Pictures of the pages of a running riacho into docs/screenshots/, small enough to be committed.
#   scripts/screenshots.sh ORIGIN PAGE...     for example: http://127.0.0.1:8501 start sales
# A page that shows no figures gets no picture.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 2; }
origin=${1%/}
shift
folder=docs/screenshots
browser=$(command -v chromium || command -v google-chrome || command -v chromium-browser) ||
  { echo "there is no Chromium: run scripts/setup.sh test"; exit 1; }
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
mkdir -p "$folder"

# Time is virtual: it goes on while the page waits for a timer and stands while it waits for the server.
chromium() { # address width height scheme option...
  local scheme=1
  if [ "$4" = dark ]; then scheme=0; fi
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --lang=pt-BR \
    --user-data-dir="$profile" --blink-settings=preferredColorScheme="$scheme" --window-size="$2,$3" \
    --virtual-time-budget=8000 "${@:5}" "$1" 2>/dev/null
}

picture() { # page width height scheme
  local path=/$1 file=$folder/$1-$4.png
  if [ "$1" = start ]; then path=/; fi
  if [ "$2" -lt 600 ]; then file=$folder/$1-phone-$4.png; fi
  if ! chromium "$origin$path" "$2" "$3" "$4" --dump-dom | grep -q '<body[^>]* data-state="ready"'; then
    echo "$origin$path shows no figures: no picture is taken"
    return 1
  fi
  chromium "$origin$path" "$2" "$3" "$4" --screenshot="$PWD/$file" >/dev/null
  # A palette of 128 colours is not seen in pages of few colours, and a third of the bytes.
  if command -v pngquant >/dev/null; then pngquant --force --skip-if-larger --output "$file" 128 "$file" || true; fi
  echo "$file $(wc -c <"$file") bytes"
}

status=0
for page in "$@"; do
  picture "$page" 1280 1500 light || status=1
  picture "$page" 1280 1500 dark || status=1
  # Chromium's windows are at least 500 pixels wide.
  picture "$page" 500 1100 light || status=1
done
exit "$status"
