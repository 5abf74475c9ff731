#!/bin/sh
# Bring a virtual environment in line with a requirements file. A half-made one, left by Ctrl-C, is made anew.
#
# usage: sh scripts/create-venv.sh PYTHON FOLDER REQUIREMENTS
set -eu

python=$1
folder=$2
requirements=$3

"$folder/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$folder"
# Of the CDK's many modules few are ever imported: Python compiles those then, which halves time and disk
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --requirement "$requirements"
