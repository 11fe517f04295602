-- Exporters, importers, and the Pulps that are replicated from. Tables and columns carry the names that pulpcore gives them.

create table core_exporter (
    pulp_id uuid primary key,
    pulp_created timestamptz not null,
    pulp_last_updated timestamptz,
    pulp_type text not null,
    name text not null,
    pulp_domain_id uuid not null references core_domain (pulp_id),
    unique (name, pulp_domain_id)
);

create table core_filesystemexporter (
    exporter_ptr_id uuid primary key references core_exporter (pulp_id) on delete cascade,
    path text not null,
    method text not null default 'write'
);

create table core_export (
    pulp_id uuid primary key,
    pulp_created timestamptz not null,
    pulp_last_updated timestamptz,
    params jsonb,
    exporter_id uuid not null references core_exporter (pulp_id) on delete cascade,
    task_id uuid references core_task (pulp_id) on delete set null,
    pulp_domain_id uuid not null references core_domain (pulp_id)
);
create index core_export_exporter on core_export (exporter_id);
create index core_export_task on core_export (task_id);

create table core_filesystemexport (
    export_ptr_id uuid primary key references core_export (pulp_id) on delete cascade
);

create table core_pulpexport (
    export_ptr_id uuid primary key references core_export (pulp_id) on delete cascade,
    output_file_info jsonb,
    toc_info jsonb
);

create table core_exportedresource (
    pulp_id uuid primary key,
    pulp_created timestamptz not null,
    pulp_last_updated timestamptz,
    object_id uuid not null,
    -- The model's label, as in a PRN: `core.repositoryversion`.
    content_type text not null,
    export_id uuid not null references core_export (pulp_id) on delete cascade
);
create index core_exportedresource_export on core_exportedresource (export_id);

create table core_pulpexporter (
    exporter_ptr_id uuid primary key references core_exporter (pulp_id) on delete cascade,
    path text not null,
    last_export_id uuid references core_export (pulp_id) on delete set null
);
create index core_pulpexporter_last on core_pulpexporter (last_export_id);

create table core_pulpexporter_repositories (
    pulpexporter_id uuid not null references core_exporter (pulp_id) on delete cascade,
    repository_id uuid not null references core_repository (pulp_id) on delete cascade,
    primary key (pulpexporter_id, repository_id)
);
create index core_pulpexporter_repositories_repository on core_pulpexporter_repositories (repository_id);

create table core_importer (
    pulp_id uuid primary key,
    pulp_created timestamptz not null,
    pulp_last_updated timestamptz,
    pulp_type text not null,
    name text not null,
    pulp_domain_id uuid not null references core_domain (pulp_id),
    unique (name, pulp_domain_id)
);

create table core_pulpimporter (
    importer_ptr_id uuid primary key references core_importer (pulp_id) on delete cascade
);

create table core_pulpimporterrepository (
    pulp_id uuid primary key,
    pulp_created timestamptz not null,
    pulp_last_updated timestamptz,
    source_repo text not null,
    repository_id uuid not null references core_repository (pulp_id) on delete cascade,
    pulp_importer_id uuid not null references core_importer (pulp_id) on delete cascade
);
create index core_pulpimporterrepository_importer on core_pulpimporterrepository (pulp_importer_id);
create index core_pulpimporterrepository_repository on core_pulpimporterrepository (repository_id);

create table core_import (
    pulp_id uuid primary key,
    pulp_created timestamptz not null,
    pulp_last_updated timestamptz,
    params jsonb,
    task_id uuid not null references core_task (pulp_id) on delete cascade,
    importer_id uuid not null references core_importer (pulp_id) on delete cascade,
    pulp_domain_id uuid not null references core_domain (pulp_id)
);
create index core_import_importer on core_import (importer_id);
create index core_import_task on core_import (task_id);

create table core_pulpimport (
    import_ptr_id uuid primary key references core_import (pulp_id) on delete cascade
);

-- Which unit here is which of the archive, while a task imports it.
create table pulp_importedunit (
    task_id uuid not null references core_task (pulp_id) on delete cascade,
    upstream_id uuid not null,
    content_id uuid not null,
    primary key (task_id, upstream_id)
);

-- The artifacts that an export will write, while it does.
create table pulp_exportedartifact (
    export_id uuid not null references core_export (pulp_id) on delete cascade,
    artifact_id uuid not null,
    primary key (export_id, artifact_id)
);

create table core_upstreampulp (
    pulp_id uuid primary key,
    pulp_created timestamptz not null,
    pulp_last_updated timestamptz,
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
    last_replication timestamptz,
    policy text not null default 'all',
    connect_timeout double precision,
    download_concurrency bigint,
    max_retries bigint,
    sock_connect_timeout double precision,
    sock_read_timeout double precision,
    total_timeout double precision,
    remote_policy text,
    pulp_domain_id uuid not null references core_domain (pulp_id),
    unique (name, pulp_domain_id)
);
