#!/bin/sh
# List everything that is missing on this computer, each with the command that installs it. Exit 1 if anything is.
#
# usage: [PYTHON=python3] sh scripts/check-prerequisites.sh
# POSIX sh, because Python itself may be missing.

PYTHON=${PYTHON:-python3}
missing=0

# report WHAT DEBIAN_COMMAND MACOS_COMMAND ELSEWHERE
report() {
    [ "$missing" -eq 0 ] && echo "The project needs something that this computer does not have:" >&2
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

is_python() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

report_python() {
    found=$("$PYTHON" --version 2>/dev/null) || found="no working $PYTHON"
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if is_python "$candidate"; then
            line="make demo PYTHON=$candidate    # or any other target"
            report "Python 3.11 or later (found: $found). You have another one. Use it with:" "$line" "$line" "$line"
            return
        fi
    done
    report "Python 3.11 or later (found: $found)" \
        "sudo apt-get install -y python3.11 python3.11-venv && make demo PYTHON=python3.11" \
        "brew install python@3.13 && make demo PYTHON=python3.13" \
        "install it with your package manager or from https://www.python.org/downloads/"
}

if ! is_python "$PYTHON"; then
    report_python
elif ! "$PYTHON" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    version=$("$PYTHON" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    report "venv for $PYTHON (the module ensurepip is missing)" "sudo apt-get install -y $version-venv" \
        "brew reinstall python@${version#python}" "install the package of your system that contains venv and ensurepip"
fi

node_macos="brew install node@24 && brew link --overwrite --force node@24"
node_elsewhere="install it with your package manager or from https://nodejs.org/en/download"
if ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' >/dev/null 2>&1; then
    found=$(node --version 2>/dev/null) || found="no working node"
    report "Node.js 20 or later, better 22 or 24 (found: $found)" \
        "curl -fsSL https://deb.nodesource.com/setup_24.x | sudo -E bash - && sudo apt-get install -y nodejs" \
        "$node_macos" "$node_elsewhere"
elif ! npm --version >/dev/null 2>&1; then
    report "npm" "sudo apt-get install -y npm" "$node_macos" "$node_elsewhere"
fi

command -v "${MAKE:-make}" >/dev/null 2>&1 ||
    report "make" "sudo apt-get install -y make" "xcode-select --install" "install it with your package manager"

[ "$missing" -eq 0 ] || { echo >&2; exit 1; }
