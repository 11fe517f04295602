#!/usr/bin/env python3
"""The generated clients of PyPI (pulpcore-client, pulp-file-client) against a running server.

PULP_BASE_URL, PULP_USER and PULP_PASSWORD say which. Needs nothing else: it serves its own upstream.
"""
import functools
import hashlib
import http.server
import os
import pathlib
import random
import sys
import tempfile
import threading
import time
import urllib.request

from pulpcore.client import pulp_file, pulpcore

BASE = os.environ["PULP_BASE_URL"].rstrip("/")
USER, PASSWORD = os.environ.get("PULP_USER", "admin"), os.environ["PULP_PASSWORD"]
RUN = f"bindings-{int(time.time())}-{os.getpid()}"
LIMIT = 120  # seconds for a task


def configured(module):
    configuration = module.Configuration(host=BASE, username=USER, password=PASSWORD)
    return module.ApiClient(configuration)


CORE, FILE = configured(pulpcore), configured(pulp_file)
tasks = pulpcore.TasksApi(CORE)
artifacts = pulpcore.ArtifactsApi(CORE)
remotes = pulp_file.RemotesFileApi(FILE)
repositories = pulp_file.RepositoriesFileApi(FILE)
versions = pulp_file.RepositoriesFileVersionsApi(FILE)
content = pulp_file.ContentFilesApi(FILE)
publications = pulp_file.PublicationsFileApi(FILE)
distributions = pulp_file.DistributionsFileApi(FILE)


def step(text):
    print("---", text, flush=True)


def equal(what, expected, found):
    if expected != found:
        sys.exit(f"FAILED: {what}: expected {expected!r}, found {found!r}")


def done(response):
    """Waits for the task that a call started; gives it when it is completed."""
    deadline = time.monotonic() + LIMIT
    while True:
        task = tasks.read(response.task)
        if task.state == "completed":
            return task
        if task.state in ("failed", "canceled", "skipped"):
            sys.exit(f"FAILED: {task.name} {task.state}: {task.error}")
        if time.monotonic() > deadline:
            sys.exit(f"FAILED: {task.name} is {task.state} after {LIMIT} seconds")
        time.sleep(0.1)


def created(response, kind):
    """The resource of that kind that a task made."""
    return next(href for href in done(response).created_resources if f"/{kind}/" in href)


def refused(what, status, module, call, *arguments):
    try:
        call(*arguments)
    except module.ApiException as error:
        equal(what, status, error.status)
        return str(error.body)
    sys.exit(f"FAILED: {what}: was not refused")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def upstream(directory):
    """A manifest and twenty files, served on the loopback interface."""
    source, lines = random.Random(4), []
    for index in range(20):
        path, data = f"data/{index}.bin", source.randbytes(1000 + index)
        (directory / path).parent.mkdir(exist_ok=True)
        (directory / path).write_bytes(data)
        lines.append(f"{path},{hashlib.sha256(data).hexdigest()},{len(data)}\n")
    (directory / "PULP_MANIFEST").write_text("".join(lines))
    handler = functools.partial(Quiet, directory=directory)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/PULP_MANIFEST"


def get(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url if url.startswith("http") else BASE + url, timeout=60) as answer:
        return answer.read()


def main(directory):
    step("status")
    status = pulpcore.StatusApi(CORE).status_read()
    equal("database", True, status.database_connection.connected)
    equal("components", True, {"core", "file"} <= {version.component for version in status.versions})

    step("create")
    remote = remotes.create({"name": RUN, "url": upstream(directory), "policy": "immediate", "password": "very-secret"})
    equal("the password of a remote is not shown", False, "very-secret" in str(remote.to_dict()))
    repository = repositories.create(pulp_file.FileFileRepository(name=RUN, pulp_labels={"of": "ci"}))
    equal("the first version", f"{repository.pulp_href}versions/0/", repository.latest_version_href)
    text = refused("a second repository of the name", 400, pulp_file, repositories.create, {"name": RUN})
    equal("what is wrong with it", True, "name" in text)

    step("sync")
    version = created(repositories.sync(repository.pulp_href, {"remote": remote.pulp_href}), "versions")
    summary = versions.read(version).content_summary
    equal("files", 20, summary.present["file.file"]["count"])
    equal("a second sync", [], done(repositories.sync(repository.pulp_href, {"remote": remote.pulp_href})).created_resources)

    step("publish and distribute")
    publication = created(publications.create({"repository_version": version}), "publications")
    equal("its manifest", "PULP_MANIFEST", publications.read(publication).manifest)
    made = distributions.create({"name": RUN, "base_path": RUN, "publication": publication})
    distribution = distributions.read(created(made, "distributions"))

    step("read back")
    base = distribution.base_url if distribution.base_url.endswith("/") else distribution.base_url + "/"
    manifest = (directory / "PULP_MANIFEST").read_bytes().splitlines()
    equal("PULP_MANIFEST", sorted(manifest), sorted(get(base + "PULP_MANIFEST").splitlines()))
    for path in ["data/0.bin", "data/19.bin"]:
        equal(path, (directory / path).read_bytes(), get(base + path))
    page = content.list(repository_version=version, limit=7, offset=14, ordering=["relative_path"])
    equal("the last page", (20, 6, None), (page.count, len(page.results), page.next))

    step("content of one's own")
    own = directory / "own"
    own.write_bytes(random.Random(5).randbytes(5000))
    uploaded = created(content.create(relative_path="own.bin", file=str(own)), "content")
    equal("its digest", hashlib.sha256(own.read_bytes()).hexdigest(), content.read(uploaded).sha256)
    version = created(repositories.modify(repository.pulp_href, {"add_content_units": [uploaded]}), "versions")
    equal("the version", 2, versions.read(version).number)
    equal("what was added", 1, versions.read(version).content_summary.added["file.file"]["count"])

    step("artifacts, labels, filters")
    own.write_bytes(random.Random(os.getpid()).randbytes(100))
    artifact = artifacts.create(str(own))
    equal("its size", 100, artifact.size)
    repositories.set_label(repository.pulp_href, {"key": "stage", "value": "test"})
    found = repositories.list(pulp_label_select="stage=test,of=ci", name=RUN, fields=["name", "pulp_labels"])
    equal("repositories by label", [RUN], [one.name for one in found.results])
    repositories.partial_update(repository.pulp_href, {"retain_repo_versions": 1})
    equal("a field that was changed", 1, repositories.read(repository.pulp_href).retain_repo_versions)

    step("delete")
    done(distributions.delete(distribution.pulp_href))
    done(repositories.delete(repository.pulp_href))
    done(remotes.delete(remote.pulp_href))
    refused("a repository that is gone", 404, pulp_file, repositories.read, repository.pulp_href)
    step("the generated clients work")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(pathlib.Path(temporary))
