#!/bin/sh
# Ask the advisory databases of PyPI and npm about everything that is pinned. Exit 1 unless all of it was found
# there and nothing is known against it.
#
# usage: sh scripts/audit.sh PIP_AUDIT
# Needs the package indexes themselves: a mirror of them has no advisories. Therefore no part of `make check`.
set -u

pip_audit=$1
failed=

# Strict: what the index does not know would be passed over, with exit code 0
for requirements in lambda_src/requirements.txt requirements.txt requirements-dev.txt sandbox/requirements-*.txt; do
    echo "$requirements"
    "$pip_audit" --strict --progress-spinner off --disable-pip --no-deps --requirement "$requirements" ||
        failed="$failed $requirements"
done
echo package-lock.json
npm audit || failed="$failed package-lock.json"

[ -z "$failed" ] && exit 0
echo "Not audited, or with advisories:$failed" >&2
echo 'Where no advisory is listed above, its database could not be asked: this needs pypi.org and registry.npmjs.org.' >&2
exit 1
