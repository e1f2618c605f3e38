#!/bin/sh
# Pins what pip installs, with the hashes of every file of a version: for any processor, from any index. What is pinned
# stays, and what pyproject.toml asks for besides is added; `requirements/lock.sh --upgrade` takes the newest of all.
#
#   run.txt   what lrcn needs                build.txt    what makes its wheel, alone
#   test.txt  what `test` adds to run.txt    mutants.txt  what mutmut adds to both     lock.txt  what runs this
#   docs.txt  what `docs` adds to both
set -eu
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
export UV_PYTHON_DOWNLOADS=never UV_CUSTOM_COMPILE_COMMAND="make lock"
upgrade=${1:-}

pin() { # NAME OPTION...
  file=requirements/$1.txt
  shift
  # shellcheck disable=SC2086  # none: no word
  "$uv" pip compile --quiet $upgrade --universal --python-version 3.10 \
    --generate-hashes --no-annotate --output-file "$file" "$@" >/dev/null
}

beside() { # NAME...: options that keep to what these files pin, and leave it out, but for what they have for Windows alone
  for name in "$@"; do
    echo "--constraint requirements/$name.txt"
    sed -n "/sys_platform == 'win32'/d; s/^\([a-z][^ =]*\)==.*/--no-emit-package \1/p" "requirements/$name.txt"
  done
}

pin run pyproject.toml
# shellcheck disable=SC2046  # words
{
  pin test pyproject.toml --extra test $(beside run)
  pin mutants --group mutants $(beside run test)
  pin docs pyproject.toml --extra docs $(beside run test)
}
pin build --group build --constraint requirements/test.txt
pin lock --group lock

for machine in x86_64 aarch64; do
  for python in 3.10 3.11 3.12 3.13; do # each has a wheel of each
    "$uv" pip compile --quiet --only-binary :all: --python-platform "$machine-manylinux_2_35" --python-version "$python" \
      requirements/run.txt requirements/test.txt requirements/docs.txt >/dev/null
  done
done
