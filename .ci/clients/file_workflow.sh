#!/usr/bin/env bash
# The Python client `pulp`, unmodified, through the whole file workflow against a running server.
#
#   PULP_BASE_URL=http://127.0.0.1:24817 PULP_USER=admin PULP_PASSWORD=… .ci/clients/file_workflow.sh
#
# PULP_CLIENT names the client (default: `pulp` on PATH).
. "$(dirname "$0")/../lib/common.sh"

cat >"$work/cli.toml" <<TOML
[cli]
base_url = "$PULP_BASE_URL"
username = "$PULP_USER"
password = "$PULP_PASSWORD"
timeout = 120
TOML
chmod 600 "$work/cli.toml"
# The client caches the API document by server: a cache of this run's own shows what this server says now.
export XDG_CACHE_HOME="$work/cache" PULP_CLI_CONFIG="$work/cli.toml"
# What it says on the side is shown only if it fails.
pulp() {
    local said
    said=$(mktemp "$work/said.XXXXXX")
    "${PULP_CLIENT:-pulp}" --config "$work/cli.toml" "$@" 2>"$said" || {
        cat "$said" >&2
        return 1
    }
}

step "status"
status=$(pulp status)
equal "components" true "$(field '{"core", "file"} <= {v["component"] for v in it["versions"]}' <<<"$status")"
equal "database" true "$(field 'it["database_connection"]["connected"]' <<<"$status")"
equal "workers" true "$(field 'len(it["online_workers"]) > 0' <<<"$status")"

step "remote: secrets are not shown, a name is there once"
python3 "$lib/tree.py" "$work/tree" 50 2000
files=$(wc -l <"$work/tree/PULP_MANIFEST")
serve "$work/tree"
pulp file remote create --name "$run" --url "${served}PULP_MANIFEST" --username someone --password very-secret --labels '{"of": "ci"}' >"$work/remote"
case $(cat "$work/remote"; pulp file remote show --name "$run") in *very-secret*) fail "the password of a remote is shown" ;; esac
equal "the password is set" true "$(field 'next(f["is_set"] for f in it["hidden_fields"] if f["name"] == "password")' <"$work/remote")"
refused "a second remote of the name" name pulp file remote create --name "$run" --url "${served}PULP_MANIFEST"
pulp file remote update --name "$run" --username "" --password "" --download-concurrency 5 >/dev/null
equal "an updated remote" 5 "$(pulp file remote show --name "$run" | field 'it["download_concurrency"]')"
equal "remotes by name" "[\"$run\"]" "$(pulp file remote list --name "$run" | field '[r["name"] for r in it]')"

step "repository and sync"
pulp file repository create --name "$run" --description "what CI mirrors" --remote "$run" >/dev/null
pulp file repository sync --repository "$run"
equal "the version" 1 "$(pulp file repository version show --repository "$run" --version 1 | field 'it["number"]')"
equal "its files" "$files" "$(pulp file repository version show --repository "$run" | field 'it["content_summary"]["present"]["file.file"]["count"]')"
equal "content of the repository" 100 "$(pulp file repository content list --repository "$run" --limit 100 | field '100 if 0 < len(it) <= 100 else len(it)')"

step "a second sync changes nothing"
pulp file repository sync --repository "$run" --remote "$run"
equal "the latest version" 1 "$(pulp file repository version show --repository "$run" | field 'it["number"]')"

step "publication and distribution"
pulp file publication create --repository "$run" >"$work/publication"
publication=$(field 'it["pulp_href"]' <"$work/publication")
equal "its manifest" PULP_MANIFEST "$(field 'it["manifest"]' <"$work/publication")"
pulp file distribution create --name "$run" --base-path "$run/of/ci" --publication "$publication" >"$work/distribution"
url=$(absolute "$(field 'it["base_url"]' <"$work/distribution")")
same_as_tree "$work/tree" "$url"

step "ranges, HEAD, listings, and what is not there"
file=data/3/00003.bin
equal "a range" "$(tail -c +101 "$work/tree/$file" | head -c 50 | sha256sum)" "$(curl -fsSL -r 100-149 "$url$file" | sha256sum)"
equal "a HEAD" "$(stat -c %s "$work/tree/$file")" "$(curl -fsSI "$url$file" | tr -d '\r' | sed -n 's/^[Cc]ontent-[Ll]ength: //p')"
contains "a listing" 00003.bin "$(curl -fsS "${url}data/3/")"
equal "a file that is not there" 404 "$(curl -sS -o /dev/null -w '%{http_code}' "${url}nothing")"
equal "a distribution that is not there" 404 "$(curl -sS -o /dev/null -w '%{http_code}' "${url%/of/ci/}-not/x")"

step "on demand: nothing is fetched before it is asked for"
pulp file remote create --name "$run-lazy" --url "${served}PULP_MANIFEST" --policy on_demand >/dev/null
# Content that no run before this one had: the server keeps what it has seen.
python3 "$lib/tree.py" "$work/lazy" 5 3000 "$(date +%s)$$"
serve "$work/lazy"
pulp file remote update --name "$run-lazy" --url "${served}PULP_MANIFEST" >/dev/null
pulp file repository create --name "$run-lazy" --autopublish --remote "$run-lazy" >/dev/null
refused "a mirror that publishes by itself" "mirror" pulp file repository sync --repository "$run-lazy" --mirror
pulp file repository sync --repository "$run-lazy"
lazy=$(digest "$work/lazy/data/1/00001.bin")
equal "artifacts before" 0 "$(pulp artifact list --sha256 "$lazy" | field 'len(it)')"
pulp file distribution create --name "$run-lazy" --base-path "$run-lazy" --repository "$run-lazy" >"$work/distribution"
same_as_tree "$work/lazy" "$(absolute "$(field 'it["base_url"]' <"$work/distribution")")"
same_as_tree "$work/lazy" "$(absolute "$(field 'it["base_url"]' <"$work/distribution")")" >/dev/null

step "content: small, in chunks, twice"
mkdir "$work/own"
head -c 3000 /dev/urandom >"$work/own/small"
head -c 3500000 /dev/urandom >"$work/own/large"
pulp file repository create --name "$run-own" --autopublish >/dev/null
pulp file distribution create --name "$run-own" --base-path "$run-own" --repository "$run-own" >"$work/distribution"
url=$(absolute "$(field 'it["base_url"]' <"$work/distribution")")
pulp file content upload --file "$work/own/small" --relative-path "dir/small" --repository "$run-own" >"$work/small"
small=$(field 'it["pulp_href"]' <"$work/small")
equal "its digest" "$(digest "$work/own/small")" "$(field 'it["sha256"]' <"$work/small")"
pulp file content upload --file "$work/own/large" --relative-path "large" --chunk-size 1MB >"$work/large"
large=$(field 'it["pulp_href"]' <"$work/large")
equal "the digest of the chunked one" "$(digest "$work/own/large")" "$(field 'it["sha256"]' <"$work/large")"
equal "content by digest" "[\"large\"]" "$(pulp file content list --sha256 "$(digest "$work/own/large")" | field '[c["relative_path"] for c in it]')"
equal "the same again" "$small" "$(pulp file content upload --file "$work/own/small" --relative-path "dir/small" | field 'it["pulp_href"]')"

step "add, modify, remove"
pulp file repository content add --repository "$run-own" --sha256 "$(digest "$work/own/large")" --relative-path large >/dev/null
curl -fsSL "${url}large" | cmp - "$work/own/large"
curl -fsSL "${url}dir/small" | cmp - "$work/own/small"
pulp file repository content modify --repository "$run-own" --add-content '[]' \
    --remove-content "[{\"sha256\": \"$(digest "$work/own/small")\", \"relative_path\": \"dir/small\"}]" >/dev/null
# The file itself stays reachable for as long as the server retains publications that were distributed.
equal "the manifest after a removal" "large,$(digest "$work/own/large"),3500000" "$(curl -fsSL "${url}PULP_MANIFEST")"
equal "what is left" '["large"]' "$(pulp file repository content list --repository "$run-own" | field '[c["relative_path"] for c in it]')"
equal "versions, the latest first" "[3, 2, 1, 0]" "$(pulp file repository version list --repository "$run-own" | field '[v["number"] for v in it]')"
pulp file repository version destroy --repository "$run-own" --version 2 >/dev/null
equal "versions after one was destroyed" "[3, 1, 0]" "$(pulp file repository version list --repository "$run-own" | field '[v["number"] for v in it]')"
equal "what is still left" '["large"]' "$(pulp file repository content list --repository "$run-own" | field '[c["relative_path"] for c in it]')"

step "labels"
pulp file repository label set --repository "$run" --key stage --value test >/dev/null
pulp file repository label set --repository "$run" --key other --value x >/dev/null
equal "a label" test "$(pulp file repository label show --repository "$run" --key stage)"
equal "repositories by label" "[\"$run\"]" "$(pulp file repository list --name-startswith "$run" --label-select "stage=test,other" | field '[r["name"] for r in it]')"
pulp file repository label unset --repository "$run" --key other >/dev/null
equal "labels" '{"stage": "test"}' "$(pulp file repository show --name "$run" | field 'it["pulp_labels"]')"

step "artifacts"
head -c 5000 /dev/urandom >"$work/own/artifact"
pulp artifact upload --file "$work/own/artifact" >"$work/artifact"
equal "its size" 5000 "$(field 'it["size"]' <"$work/artifact")"
equal "artifacts by digest" 1 "$(pulp artifact list --sha256 "$(digest "$work/own/artifact")" | field 'len(it)')"

step "tasks"
contains "tasks of a repository" synchroniz "$(pulp file repository task list --repository "$run")"
equal "tasks by state" '["completed"]' "$(pulp task list --state completed --limit 3 | field 'sorted({t["state"] for t in it})')"
task=$(pulp task list --name-contains synchron --state completed --limit 1 | field 'it[0]["pulp_href"]')
equal "a task" "$task" "$(pulp task show --href "$task" | field 'it["pulp_href"]')"
pulp task summary >/dev/null

step "additive by default, a mirror if asked for"
sed -i '$d' "$work/tree/PULP_MANIFEST"
pulp file repository sync --repository "$run"
equal "the latest version" 1 "$(pulp file repository version show --repository "$run" | field 'it["number"]')"
pulp file repository sync --repository "$run" --mirror
equal "files of the mirror" "$((files - 1))" "$(pulp file repository version show --repository "$run" --version 2 | field 'it["content_summary"]["present"]["file.file"]["count"]')"

step "what fails says why, and is no version"
pulp file remote create --name "$run-gone" --url "${served}there-is-no/PULP_MANIFEST" --max-retries 0 >/dev/null
refused "a manifest that is not there" 404 pulp file repository sync --repository "$run" --remote "$run-gone"
equal "the latest version after a failure" 2 "$(pulp file repository version show --repository "$run" | field 'it["number"]')"
refused "a repository that is not there" "$run-nothing" pulp file repository show --name "$run-nothing"

step "destroy, clean up"
for name in "$run" "$run-lazy" "$run-own"; do
    pulp file distribution destroy --name "$name" >/dev/null
    pulp file repository destroy --name "$name" >/dev/null
done
for name in "$run" "$run-lazy" "$run-gone"; do pulp file remote destroy --name "$name" >/dev/null; done
equal "repositories" "[]" "$(pulp file repository list --name-startswith "$run")"
pulp orphan cleanup --protection-time 0 --content-hrefs "[\"$small\", \"$large\"]" >/dev/null
equal "orphans" "[]" "$(pulp file content list --sha256 "$(digest "$work/own/large")")"

step "the file workflow works"
