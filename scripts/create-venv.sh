#!/bin/sh
# Bring a virtual environment in line with a requirements file, and remove no other packages.
# Recreate the environment if it is incomplete, as Ctrl-C leaves it.
#
# usage: sh scripts/create-venv.sh PYTHON FOLDER REQUIREMENTS [SOURCES]
#
# SOURCES are folders whose modules the environment can import, such as "lambda_src editable".
# uv installs in a tenth of pip's time, and keeps one copy on disk of a package that several environments have.
# pip takes over where uv cannot be used, and where pip is configured for another package index.
set -eu

python=$1
folder=$2
requirements=$3
sources=${4-}

if [ "$folder" = .venv ]; then
    # The CDK builds the function's package with this environment's pip
    .venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv
else
    "$folder/bin/python" -c '' 2>/dev/null || "$python" -m venv --clear --without-pip "$folder"
fi

# The development tools include uv. Without them, it stays in .sandbox/uv until `make prepare` has finished.
uv=.venv/bin/uv
[ -x $uv ] || uv=.sandbox/uv/bin/uv

install_uv() {
    [ -x $uv ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile \
        --target .sandbox/uv "$(sed -n 's/^\(uv==[^ ;]*\).*/\1/p' requirements-dev.txt)"
}

pip_has_another_index() {
    .venv/bin/python -m pip config list | grep -E '\.(index-url|no-index|proxy)=' >/dev/null
}

uv_pip() {
    command=$1
    shift
    "$uv" pip "$command" --quiet --system-certs --python "$folder/bin/python" "$@"
}

if ! pip_has_another_index && install_uv && uv_pip install --requirement "$requirements"; then
    # venv adds it up to Python 3.11, and nothing uses it
    uv_pip uninstall setuptools
else
    "$folder/bin/python" -m pip --version >/dev/null 2>&1 || "$folder/bin/python" -m ensurepip >/dev/null
    # Few modules of the CDK are ever imported. Python compiles those on import, in half the time and space
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --requirement "$requirements"
fi

test -z "$sources" || "$folder/bin/python" - "$sources" <<'END'
import os
import sys
import sysconfig
from pathlib import Path

# Relative: it stays true when the project's folder is moved, and Python reads it in any locale
folder = sysconfig.get_path("purelib")
for sources in sys.argv[1].split():
    Path(folder, f"{Path(sources).name}.pth").write_text(f"{os.path.relpath(sources, folder)}\n")
END
