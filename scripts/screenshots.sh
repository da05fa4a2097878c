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
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v pngquant >/dev/null || echo "pngquant is not here: the pictures stay three times as large"
mkdir -p "$folder"

# Time is virtual: it goes on while the page waits for a timer and stands while it waits for the server.
chromium() { # address width height scheme option...
  local scheme=1
  if [ "$4" = dark ]; then scheme=0; fi
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --lang=pt-BR \
    --user-data-dir="$work/profile" --blink-settings=preferredColorScheme="$scheme" --window-size="$2,$3" \
    --virtual-time-budget=8000 "${@:5}" "$1" 2>"$work/said"
}

picture() { # page width height scheme
  local path=/$1 file=$folder/$1-$4.png
  if [ "$1" = start ]; then path=/; fi
  if [ "$2" -lt 600 ]; then file=$folder/$1-phone-$4.png; fi
  if ! chromium "$origin$path" "$2" "$3" "$4" --dump-dom >"$work/page"; then
    echo "$origin$path cannot be opened:"
    tail -n 5 "$work/said"
    return 1
  fi
  if ! grep -q '<body[^>]* data-state="ready"' "$work/page"; then
    echo "$origin$path shows no figures: no picture is taken"
    return 1
  fi
  if ! chromium "$origin$path" "$2" "$3" "$4" --screenshot="$work/picture.png" >/dev/null || [ ! -s "$work/picture.png" ]; then
    echo "$origin$path: no picture came of it:"
    tail -n 5 "$work/said"
    return 1
  fi
  # A palette of 128 colours is not seen in pages of few colours, and a third of the bytes.
  if command -v pngquant >/dev/null; then pngquant --force --output "$work/picture.png" 128 "$work/picture.png" || return 1; fi
  mv "$work/picture.png" "$file" &&
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
