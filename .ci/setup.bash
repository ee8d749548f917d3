# Sourced by the other scripts: a virtual environment, and Debian packages where allowed.
# Everything here may run again and again, with no terminal, on a machine that has nothing
# but Python 3.11 or newer.

say() { printf '==> %s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# The oldest Python that will do comes first: what runs there runs on the newer ones.
find_python() {
  local candidate
  for candidate in "${TRIOSERF_PYTHON:-}" python3 python3.11 python3.12 python3.13 python3.14 python; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}

# The newest CPython that runs here, those of pyenv included.
newest_python() {
  local candidate
  for candidate in python3.{16..12} "$HOME"/.pyenv/versions/3.{16..12}.*/bin/python "$(find_python)"; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}

# apt_install PACKAGE...: as root, or through a sudo that asks for no password.
# Its long story is shown only when it ends badly.
apt_install() {
  command -v apt-get >/dev/null 2>&1 || return 1
  local -a as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 && sudo -n true >/dev/null 2>&1 || return 1
    as_root=(sudo -n)
  fi
  local -a install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
    apt-get install -qq -y --no-install-recommends "$@")
  local log
  log=$(mktemp)
  say "apt-get install $*"
  if "${install[@]}" </dev/null >"$log" 2>&1 || {
    say "once more, with new package lists"
    "${as_root[@]}" apt-get update -qq </dev/null >>"$log" 2>&1 &&
      "${install[@]}" </dev/null >>"$log" 2>&1
  }; then
    rm -f "$log"
    return 0
  fi
  tail -n 20 "$log" >&2
  rm -f "$log"
  return 1
}

# Debian splits venv off; a user without root can still take virtualenv from PyPI.
create_venv() {
  local python=$1 venv=$2 version
  "$python" -m venv --clear "$venv" >/dev/null 2>&1 && return 0
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  apt_install "python$version-venv" || apt_install python3-venv || true
  "$python" -m venv --clear "$venv" >/dev/null 2>&1 && return 0
  say "no venv module for $python: trying virtualenv from PyPI"
  local tool
  tool=$(mktemp -d)
  if "$python" -m pip install -q --target "$tool" virtualenv >&2 &&
    PYTHONPATH="$tool" "$python" -m virtualenv -q --clear "$venv" >&2; then
    rm -rf "$tool"
    return 0
  fi
  rm -rf "$tool"
  die "cannot make a virtual environment: as root, apt-get install python$version-venv"
}

# install_project VENV EXTRAS: the checkout, in place, with these extras.
install_project() {
  local venv=$1 extras=$2 python
  if ! "$venv/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$(find_python) || die "trioserf needs Python 3.11 or newer"
    say "new virtual environment in $venv ($("$python" --version))"
    create_venv "$python" "$venv"
  fi
  say "installing trioserf[$extras] from PyPI"
  PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 \
    "$venv/bin/python" -m pip install -q --upgrade-strategy only-if-needed -e ".[$extras]" </dev/null >&2
}
