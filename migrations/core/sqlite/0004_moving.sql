-- Exporters, importers, and the Pulps that are replicated from. Tables and columns carry the names that pulpcore gives them.

create table core_exporter (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    pulp_type text not null,
    name text not null,
    pulp_domain_id blob not null references core_domain (pulp_id),
    unique (name, pulp_domain_id)
) without rowid;

create table core_filesystemexporter (
    exporter_ptr_id blob primary key references core_exporter (pulp_id) on delete cascade,
    path text not null,
    method text not null default 'write'
) without rowid;

create table core_export (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    params text,
    exporter_id blob not null references core_exporter (pulp_id) on delete cascade,
    task_id blob references core_task (pulp_id) on delete set null,
    pulp_domain_id blob not null references core_domain (pulp_id)
) without rowid;
create index core_export_exporter on core_export (exporter_id);
create index core_export_task on core_export (task_id);

create table core_filesystemexport (
    export_ptr_id blob primary key references core_export (pulp_id) on delete cascade
) without rowid;

create table core_pulpexport (
    export_ptr_id blob primary key references core_export (pulp_id) on delete cascade,
    output_file_info text,
    toc_info text
) without rowid;

create table core_exportedresource (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    object_id blob not null,
    -- The model's label, as in a PRN: `core.repositoryversion`.
    content_type text not null,
    export_id blob not null references core_export (pulp_id) on delete cascade
) without rowid;
create index core_exportedresource_export on core_exportedresource (export_id);

create table core_pulpexporter (
    exporter_ptr_id blob primary key references core_exporter (pulp_id) on delete cascade,
    path text not null,
    last_export_id blob references core_export (pulp_id) on delete set null
) without rowid;
create index core_pulpexporter_last on core_pulpexporter (last_export_id);

create table core_pulpexporter_repositories (
    pulpexporter_id blob not null references core_exporter (pulp_id) on delete cascade,
    repository_id blob not null references core_repository (pulp_id) on delete cascade,
    primary key (pulpexporter_id, repository_id)
) without rowid;
create index core_pulpexporter_repositories_repository on core_pulpexporter_repositories (repository_id);

create table core_importer (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    pulp_type text not null,
    name text not null,
    pulp_domain_id blob not null references core_domain (pulp_id),
    unique (name, pulp_domain_id)
) without rowid;

create table core_pulpimporter (
    importer_ptr_id blob primary key references core_importer (pulp_id) on delete cascade
) without rowid;

create table core_pulpimporterrepository (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    source_repo text not null,
    repository_id blob not null references core_repository (pulp_id) on delete cascade,
    pulp_importer_id blob not null references core_importer (pulp_id) on delete cascade
) without rowid;
create index core_pulpimporterrepository_importer on core_pulpimporterrepository (pulp_importer_id);
create index core_pulpimporterrepository_repository on core_pulpimporterrepository (repository_id);

create table core_import (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    params text,
    task_id blob not null references core_task (pulp_id) on delete cascade,
    importer_id blob not null references core_importer (pulp_id) on delete cascade,
    pulp_domain_id blob not null references core_domain (pulp_id)
) without rowid;
create index core_import_importer on core_import (importer_id);
create index core_import_task on core_import (task_id);

create table core_pulpimport (
    import_ptr_id blob primary key references core_import (pulp_id) on delete cascade
) without rowid;

-- Which unit here is which of the archive, while a task imports it.
create table pulp_importedunit (
    task_id blob not null references core_task (pulp_id) on delete cascade,
    upstream_id blob not null,
    content_id blob not null,
    primary key (task_id, upstream_id)
) without rowid;

-- The artifacts that an export will write, while it does.
create table pulp_exportedartifact (
    export_id blob not null references core_export (pulp_id) on delete cascade,
    artifact_id blob not null,
    primary key (export_id, artifact_id)
) without rowid;

create table core_upstreampulp (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    name text not null,
    base_url text not null,
    api_root text not null,
    domain text,
    ca_cert text,
    client_cert text,
    client_key text,
    tls_validation boolean not null default true,
    username text,
    password text,
    q_select text,
    last_replication datetime,
    policy text not null default 'all',
    connect_timeout real,
    download_concurrency bigint,
    max_retries bigint,
    sock_connect_timeout real,
    sock_read_timeout real,
    total_timeout real,
    remote_policy text,
    pulp_domain_id blob not null references core_domain (pulp_id),
    unique (name, pulp_domain_id)
) without rowid;
