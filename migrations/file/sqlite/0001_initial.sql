create table file_filecontent (
    content_ptr_id blob primary key,
    relative_path text not null,
    digest text not null,
    _pulp_domain_id blob not null,
    unique (relative_path, digest, _pulp_domain_id)
) without rowid;
create index file_filecontent_digest on file_filecontent (digest);

create table file_filerepository (
    repository_ptr_id blob primary key references core_repository (pulp_id) on delete cascade,
    autopublish boolean not null default false,
    manifest text,
    last_sync_details text not null default '{}'
) without rowid;

create table file_fileremote (
    remote_ptr_id blob primary key references core_remote (pulp_id) on delete cascade
) without rowid;

create table file_filegitremote (
    remote_ptr_id blob primary key references core_remote (pulp_id) on delete cascade,
    git_ref text not null default 'HEAD'
) without rowid;

create table file_filepublication (
    publication_ptr_id blob primary key references core_publication (pulp_id) on delete cascade,
    manifest text
) without rowid;

create table file_filedistribution (
    distribution_ptr_id blob primary key references core_distribution (pulp_id) on delete cascade
) without rowid;
