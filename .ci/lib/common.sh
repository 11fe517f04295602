# What the client suites share. Sourced; expects PULP_BASE_URL, PULP_USER and PULP_PASSWORD of a running server.
#
# shellcheck shell=bash disable=SC2034
set -Eeuo pipefail
trap 'printf "FAILED: %s line %s: %s\n" "${BASH_SOURCE[0]}" "$LINENO" "$BASH_COMMAND" >&2' ERR

: "${PULP_BASE_URL:?the address of a running server, http://127.0.0.1:24817 say}"
PULP_USER=${PULP_USER:-admin}
: "${PULP_PASSWORD:?the password of $PULP_USER}"
lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/pulp-clients.XXXXXX")
# What is made on the server bears this prefix, so that runs do not meet.
run=ci-$(date +%s)-$$
trap 'rm -rf "$work"' EXIT

step() { printf -- '--- %s\n' "$*"; }
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}
# equal WHAT EXPECTED FOUND
equal() { [ "$2" = "$3" ] || fail "$1: expected '$2', found '$3'"; }
# contains WHAT PART TEXT
contains() { case $3 in *"$2"*) ;; *) fail "$1: no '$2' in: $3" ;; esac }
# refused WHAT PART COMMAND...: the command fails, and says PART.
refused() {
    local what=$1 part=$2 said
    shift 2
    if said=$("$@" 2>&1); then fail "$what: was not refused: $said"; fi
    contains "$what" "$part" "$said"
}
# field EXPRESSION <JSON: a Python expression over `it`; text as it is, all else as JSON.
field() {
    python3 -c 'import json, sys
it = json.load(sys.stdin)
found = eval(sys.argv[1])
print(found if isinstance(found, str) else json.dumps(found))' "$1"
}
digest() { sha256sum "$1" | cut -d " " -f 1; }

# serve DIRECTORY: sets `served` to the URL, with a slash at the end. The server goes with this shell.
serve() {
    local announce
    announce=$(mktemp -u "$work/served.XXXXXX")
    # A process substitution holds the other end of its standard input.
    exec {keep}> >(exec python3 "$lib/serve.py" "$1" "$announce" >/dev/null 2>&1)
    for _ in $(seq 200); do
        [ -e "$announce" ] && break
        sleep 0.05
    done
    served=$(cat "$announce")
}

# absolute URL: what a server gives without a host is below its base.
absolute() { case $1 in http*) printf %s "$1" ;; *) printf %s "$PULP_BASE_URL$1" ;; esac }

# same_as_tree DIRECTORY BASE_URL: downloads PULP_MANIFEST and all that it names, and compares.
same_as_tree() {
    python3 - "$1" "$2" <<'PYTHON'
import hashlib, pathlib, sys, urllib.parse, urllib.request
tree, base = pathlib.Path(sys.argv[1]), sys.argv[2]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
def get(path):
    with opener.open(base + urllib.parse.quote(path), timeout=60) as answer:
        return answer.read()
def lines(text):
    return sorted(line for line in text.decode().splitlines() if line)
served, written = lines(get("PULP_MANIFEST")), lines((tree / "PULP_MANIFEST").read_bytes())
assert served == written, f"manifests differ: {set(served) ^ set(written)}"
for line in served:
    path, digest, size = line.rsplit(",", 2)
    content = get(path)
    assert len(content) == int(size), f"{path}: {len(content)} bytes, not {size}"
    assert hashlib.sha256(content).hexdigest() == digest, f"{path}: other content"
print(f"{len(served)} files are the same")
PYTHON
}
