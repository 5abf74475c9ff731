#!/bin/sh
# Name everything that is missing on this computer, each with the line that installs it. Exit 1 if anything is.
#
# usage: [PYTHON=python3] sh scripts/check-prerequisites.sh
# POSIX sh, since Python itself may be what is missing.

PYTHON=${PYTHON:-python3}
missing=0

# report WHAT DEBIAN_LINE MACOS_LINE ELSEWHERE
report() {
    [ "$missing" -eq 0 ] && echo "This computer lacks something that the project needs:" >&2
    missing=1
    if [ "$(uname -s)" = Darwin ]; then
        line=$3
    elif command -v apt-get >/dev/null 2>&1; then
        line=$2
    else
        line=$4
    fi
    printf '\n  %s\n    %s\n' "$1" "$line" >&2
}

# True when $1 runs and is Python 3.11 or later.
is_python() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

check_python() {
    if ! is_python "$PYTHON"; then
        found=$("$PYTHON" --version 2>/dev/null) || found="no $PYTHON that runs"
        for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
            if is_python "$candidate"; then
                line="make demo PYTHON=$candidate    # or any other target"
                report "Python 3.11 or later (found: $found). Another one is here; use it with:" "$line" "$line" "$line"
                return
            fi
        done
        report "Python 3.11 or later (found: $found)" \
            "sudo apt-get install -y python3.11 python3.11-venv && make demo PYTHON=python3.11" \
            "brew install python@3.13 && make demo PYTHON=python3.13" \
            "install it with your package manager or from https://www.python.org/downloads/"
    elif ! "$PYTHON" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        version=$("$PYTHON" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
        report "venv for $PYTHON (the module ensurepip is missing)" \
            "sudo apt-get install -y $version-venv" \
            "brew reinstall python@${version#python}" \
            "install the package of your system that holds Python's venv and ensurepip"
    fi
}

check_node() {
    # The variables are Node's own syntax, not the shell's.
    # shellcheck disable=SC2016
    if ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' >/dev/null 2>&1; then
        found=$(node --version 2>/dev/null) || found="no node that runs"
        report "Node.js 20 or later, 22 or 24 advised (found: $found)" \
            "curl -fsSL https://deb.nodesource.com/setup_24.x | sudo -E bash - && sudo apt-get install -y nodejs" \
            "brew install node@24 && brew link --overwrite --force node@24" \
            "install it with your package manager or from https://nodejs.org/en/download"
    elif ! npm --version >/dev/null 2>&1; then
        report "npm" \
            "sudo apt-get install -y npm" \
            "brew install node@24 && brew link --overwrite --force node@24" \
            "install it with your package manager or from https://nodejs.org/en/download"
    fi
}

check_make() {
    if ! command -v "${MAKE:-make}" >/dev/null 2>&1; then
        report "make" "sudo apt-get install -y make" "xcode-select --install" "install it with your package manager"
    fi
}

check_python
check_node
check_make
[ "$missing" -eq 0 ] || { echo >&2; exit 1; }
