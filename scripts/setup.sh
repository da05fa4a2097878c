#!/usr/bin/env bash
# Makes this machine able to build riacho, or says what is missing.  setup.sh [build|lint|test]
# Where nothing is missing it does nothing, in a tenth of a second.
set -euo pipefail
purpose=${1:-build}
CARGO_DENY=0.20.2
PYARROW=26.0.1
PATH=$HOME/.cargo/bin:$PATH

have() { command -v "$1" >/dev/null 2>&1; }
fail() { printf '%s\n' "$*" >&2; exit 1; }
library() { have pkg-config && pkg-config --exists "$1"; }
libclang() { # where bindgen looks for it: clang's own folders, the linker's, Apple's
  [ -n "${LIBCLANG_PATH:-}" ] && return 0
  local file
  for file in /usr/lib/llvm*/lib*/libclang.so /usr/lib*/libclang.so /usr/lib/*/libclang.so /usr/local/lib/libclang.so \
    /Library/Developer/CommandLineTools/usr/lib/libclang.dylib /Applications/Xcode.app/Contents/Developer/Toolchains/*/usr/lib/libclang.dylib \
    /opt/homebrew/opt/llvm/lib/libclang.dylib /usr/local/opt/llvm/lib/libclang.dylib; do
    [ -e "$file" ] && return 0
  done
  return 1
}

have cargo || fail "Rust is missing: install it as https://rustup.rs says (no root needed), then run make again."

# The names are Debian's; each stands for what is checked before it.
missing=()
have gcc || have cc || missing+=(gcc)
have g++ || have c++ || missing+=(g++)
have make || missing+=(make)
have pkg-config || missing+=(pkg-config)
libclang || missing+=(libclang-dev)
library openssl || missing+=(libssl-dev)
library zlib || missing+=(zlib1g-dev)
if [ "$purpose" = lint ] || [ "$purpose" = test ]; then # the manifests for Kubernetes are checked by a package of Python's
  python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || missing+=(python3 python3-venv)
fi
if [ "$purpose" = test ]; then # also where Docker runs: the clusters whose servers are killed one by one are JVMs
  have java || missing+=(default-jdk-headless)
  have mvn || missing+=(maven)
  # The pages are opened in a real browser.
  have chromium || have google-chrome || missing+=(chromium)
  have chromedriver || missing+=(chromium-driver)
  # A server of each test's own, which it may kill.
  { have psql && ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; } || have initdb || missing+=(postgresql)
fi

if [ ${#missing[@]} -gt 0 ]; then
  root=()
  if [ "$(id -u)" != 0 ]; then root=(sudo -n); fi
  if ! have apt-get; then
    fail "missing, by the names of Debian's packages: ${missing[*]}. Install what your system calls them, then run make again."
  elif [ ${#root[@]} -gt 0 ] && ! sudo -n true 2>/dev/null; then
    fail "missing: ${missing[*]}. Run as root: apt-get install ${missing[*]}"
  fi
  echo "installing ${missing[*]} with apt-get"
  "${root[@]}" apt-get update -qq
  "${root[@]}" mkdir -p /usr/share/man/man1 # slim images lack it, and Java's package needs it
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ "$purpose" = test ]; then # for the rules and boards; unpacked, not installed: Debian's package starts a server
  tools=${RIACHO_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/riacho}/prometheus
  packages=()
  { have prometheus && have promtool; } || [ -x "$tools/usr/bin/promtool" ] || packages+=(prometheus)
  have amtool || [ -x "$tools/usr/bin/amtool" ] || packages+=(prometheus-alertmanager)
  if [ ${#packages[@]} -gt 0 ]; then
    { have apt-get && have dpkg; } || fail "missing: prometheus, promtool and amtool. Put them on the path, then run make again."
    echo "unpacking ${packages[*]} into $tools"
    mkdir -p "$tools"
    partial=$(mktemp -d)
    if [ "$(id -u)" = 0 ]; then apt-get update -qq; fi
    (cd "$partial" && apt-get download -qq -o APT::Sandbox::User=root "${packages[@]}") ||
      fail "apt-get could not download ${packages[*]}. Run apt-get update as root, then run make again."
    for package in "$partial"/*.deb; do dpkg -x "$package" "$tools"; done
    rm -rf "$partial"
  fi
fi

# The files that riacho writes are read back by another implementation of Parquet.
python_files=${XDG_CACHE_HOME:-$HOME/.cache}/riacho/python
if [ "$purpose" = test ] && [ -z "${RIACHO_PYTHON:-}" ] && ! "$python_files/bin/python" -c 'import pyarrow' 2>/dev/null; then
  echo "installing pyarrow $PYARROW with pip into $python_files"
  python3 -m venv --clear "$python_files" && "$python_files/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "pyarrow==$PYARROW" ||
    fail "pyarrow could not be installed: set RIACHO_PYTHON to a Python that has it."
fi

if [ "$purpose" = lint ] || [ "$purpose" = test ]; then
  tools=$(rustc --print sysroot)/bin
  for tool in cargo-clippy cargo-fmt; do
    [ -e "$tools/$tool" ] && continue
    have rustup || { have "$tool" && continue; fail "$tool is missing: install the package of your Rust that carries it."; }
    echo "installing clippy and rustfmt with rustup"
    rustup component add clippy rustfmt >/dev/null 2>&1 || fail "rustup could not add clippy and rustfmt."
    break
  done
  if ! have cargo-deny; then
    echo "installing cargo-deny $CARGO_DENY with cargo (about a minute of all cores)"
    # It runs for a second, so compiling it fast beats compiling it well. A target folder of its own: the flags differ.
    build=$(mktemp -d)
    trap 'rm -rf "$build"' EXIT
    CARGO_TARGET_DIR=$build CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
      cargo install cargo-deny --version "$CARGO_DENY" --locked --quiet
  fi
fi
