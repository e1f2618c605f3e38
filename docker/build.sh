#!/bin/sh
# Builds an image: docker/build.sh cpu|cuda|test [OPTION...], with Docker, or with Buildah where no daemon answers.
# OPTION: what `docker build` takes, as --build-arg CAFFE_SOURCE=docker/source.
#
# Where the registry of images is out of reach, a root that debootstrap makes (as root, once) stands in for the base
# image, with this machine's certificates and pip settings; where GitHub is, Caffe comes from the sdist `pypi`.
set -eu
cd "$(dirname "$0")/.."
target=${1:?cpu, cuda or test}
shift
say() { echo "lrcn: $*" >&2; }
fail() { say "$*"; exit 2; }

network=
if docker version >/dev/null 2>&1; then
  kept() { docker image inspect "$1" >/dev/null 2>&1; }
  fetch() { docker pull -q "$1" >/dev/null 2>&1; }
  import() { docker import - "$1" >/dev/null; }
  build() { docker build "$@"; }
  docker network inspect bridge >/dev/null 2>&1 || network=--network=host  # a daemon without networks of its own
elif command -v buildah >/dev/null && [ "$(id -u)" = 0 ]; then
  kept() { buildah images -q "$1" >/dev/null 2>&1; }
  fetch() { buildah pull -q "$1" >/dev/null 2>&1; }
  import() {
    container=$(buildah from scratch)
    tar -x -C "$(buildah mount "$container")"
    buildah commit -q --rm "$container" "$1" >/dev/null
  }
  build() { buildah build --isolation chroot --format docker --layers "$@"; }
else
  fail "no Docker daemon answers, and there is no Buildah to build images with as root: start Docker, or \
apt-get install buildah debootstrap"
fi

base=debian:bookworm
stand_in=localhost/lrcn-base:bookworm
if kept "$stand_in"; then
  base=$stand_in
elif ! kept "$base" && ! fetch "$base"; then
  { command -v debootstrap >/dev/null && [ "$(id -u)" = 0 ]; } ||
    fail "the image $base cannot be fetched: see to the network, or run this as root with debootstrap installed"
  say "the image $base cannot be fetched: debootstrap makes one in its place"
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  debootstrap --variant=minbase --include=ca-certificates bookworm "$root" >"$root.log" 2>&1 ||
    fail "debootstrap failed; its log: $root.log"
  rm -rf "$root.log" "$root"/var/cache/apt/archives/*.deb
  cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
  chroot "$root" update-ca-certificates >/dev/null 2>&1
  printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"
  tar -c -C "$root" . | import "$stand_in"
  base=$stand_in
fi

case " $* " in
*CAFFE_SOURCE=*) ;;
*)
  if ! GIT_TERMINAL_PROMPT=0 timeout 20 git ls-remote -q https://github.com/BVLC/caffe.git HEAD >/dev/null 2>&1; then
    say "GitHub is out of reach: Caffe from pypi"
    set -- --build-arg CAFFE_SOURCE=pypi "$@"
  fi
  ;;
esac

begun=$(date +%s)
# shellcheck disable=SC2086  # no network: no word
build $network -f docker/Dockerfile --target "$target" --build-arg "BASE=$base" -t "lrcn:$target" "$@" .
say "lrcn:$target is built ($(($(date +%s) - begun)) s)"
