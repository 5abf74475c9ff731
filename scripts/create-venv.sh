#!/bin/sh
# Install the packages of a requirements file into a virtual environment, and remove no others.
# Recreate the environment if it is incomplete, as Ctrl-C leaves it.
#
# usage: sh scripts/create-venv.sh PYTHON FOLDER REQUIREMENTS [SOURCES]
#
# SOURCES is a folder whose modules the environment can import.
set -eu

python=$1
folder=$2
requirements=$3
sources=${4-}

"$folder/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$folder"
# Python compiles the few modules of the CDK that are imported when it needs them: half the time and disk space
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --requirement "$requirements"
test -z "$sources" || "$folder/bin/python" - "$sources" <<'END'
import os
import sys
import sysconfig
from pathlib import Path

# Relative: it stays true when the project's folder is moved, and Python reads it in any locale
folder, sources = sysconfig.get_path("purelib"), sys.argv[1]
Path(folder, f"{Path(sources).name}.pth").write_text(f"{os.path.relpath(sources, folder)}\n")
END
