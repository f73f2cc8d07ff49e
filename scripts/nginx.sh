#!/usr/bin/env bash
# Finds an nginx for the bench. Where there is none it unpacks Debian's into the given folder
# instead of installing it, because an installed one would start to serve the machine's port 80.
set -euo pipefail
folder=$1

if command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || [ -x "$folder/nginx" ]; then
  exit 0
fi
mkdir -p "$folder"
cd "$folder"
if command -v apt-get >/dev/null && apt-get download -qq nginx >/dev/null 2>&1; then
  dpkg -x nginx_*.deb unpacked && cp unpacked/usr/sbin/nginx nginx
  rm -rf unpacked nginx_*.deb
else
  echo "nginx is missing ('apt-get install nginx', 'brew install nginx'): no comparison with it" >&2
fi
