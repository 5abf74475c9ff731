#!/bin/sh
# Check all pinned packages for known vulnerabilities. Exit 1 if one has any, or could not be checked.
#
# usage: sh scripts/audit.sh PIP_AUDIT
# Not a part of `make check`: it needs pypi.org and npmjs.org themselves, because a mirror has no advisories.
set -u

failed=
# Strict: otherwise packages that the index does not know are ignored
for requirements in lambda_src/requirements*.txt requirements.txt requirements-tools.txt requirements-dev.txt sandbox/requirements-*.txt; do
    echo "$requirements"
    "$1" --strict --progress-spinner off --disable-pip --no-deps --requirement "$requirements" ||
        failed="$failed $requirements"
done
echo package-lock.json
npm audit || failed="$failed package-lock.json"

[ -z "$failed" ] && exit 0
echo "Not checked, or with advisories:$failed. If no advisory is listed above, the index could not be reached." >&2
exit 1
