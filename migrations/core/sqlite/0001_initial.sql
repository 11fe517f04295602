-- Tables and columns carry the names that pulpcore gives them; see docs/design/database.md for what differs.

create table core_domain (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    name text not null unique,
    description text,
    pulp_labels text not null default '{}',
    storage_class text not null,
    storage_settings text not null default '{}',
    redirect_to_object_storage boolean not null default true,
    hide_guarded_distributions boolean not null default false,
    default_content_guard_id blob
) without rowid;

create table auth_user (
    id integer primary key autoincrement,
    password text not null,
    last_login datetime,
    is_superuser boolean not null default false,
    username text not null unique,
    first_name text not null default '',
    last_name text not null default '',
    email text not null default '',
    is_staff boolean not null default false,
    is_active boolean not null default true,
    date_joined datetime not null
);

create table django_session (
    session_key text not null primary key,
    session_data text not null,
    expire_date datetime not null
);
create index django_session_expire_date on django_session (expire_date);

create table core_artifact (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    file text not null,
    size bigint not null,
    md5 text,
    sha1 text,
    sha224 text,
    sha256 text not null,
    sha384 text,
    sha512 text,
    timestamp_of_interest datetime not null,
    pulp_domain_id blob not null references core_domain (pulp_id),
    unique (sha256, pulp_domain_id)
) without rowid;
create index core_artifact_md5 on core_artifact (md5) where md5 is not null;
create index core_artifact_sha1 on core_artifact (sha1) where sha1 is not null;
create index core_artifact_timestamp on core_artifact (timestamp_of_interest);

create table core_content (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    pulp_type text not null,
    pulp_labels text not null default '{}',
    upstream_id blob,
    timestamp_of_interest datetime not null,
    pulp_domain_id blob not null references core_domain (pulp_id)
) without rowid;
create index core_content_type on core_content (pulp_type, pulp_domain_id);
create index core_content_timestamp on core_content (timestamp_of_interest);

-- No foreign keys on the three tables that a sync fills by the million: what they point to is checked set-wise.
create table core_contentartifact (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    relative_path text not null,
    artifact_id blob,
    content_id blob not null,
    unique (content_id, relative_path)
) without rowid;
create index core_contentartifact_artifact on core_contentartifact (artifact_id) where artifact_id is not null;
create index core_contentartifact_path on core_contentartifact (relative_path);

create table core_remote (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    pulp_type text not null,
    pulp_labels text not null default '{}',
    name text not null,
    url text not null,
    policy text not null,
    ca_cert text,
    client_cert text,
    client_key text,
    tls_validation boolean not null default true,
    proxy_url text,
    proxy_username text,
    proxy_password text,
    username text,
    password text,
    download_concurrency bigint,
    max_retries bigint,
    rate_limit bigint,
    total_timeout real,
    connect_timeout real,
    sock_connect_timeout real,
    sock_read_timeout real,
    headers text,
    pulp_domain_id blob not null references core_domain (pulp_id),
    unique (name, pulp_domain_id)
) without rowid;

create table core_remoteartifact (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    url text not null,
    size bigint,
    md5 text,
    sha1 text,
    sha224 text,
    sha256 text,
    sha384 text,
    sha512 text,
    failed_at datetime,
    content_artifact_id blob not null,
    remote_id blob not null,
    pulp_domain_id blob not null,
    unique (content_artifact_id, remote_id)
) without rowid;
create index core_remoteartifact_remote on core_remoteartifact (remote_id);

create table core_repository (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    pulp_type text not null,
    pulp_labels text not null default '{}',
    name text not null,
    description text,
    next_version bigint not null default 0,
    retain_repo_versions bigint,
    retain_checkpoints bigint,
    user_hidden boolean not null default false,
    remote_id blob references core_remote (pulp_id) on delete set null,
    pulp_domain_id blob not null references core_domain (pulp_id),
    unique (name, pulp_domain_id)
) without rowid;
create index core_repository_remote on core_repository (remote_id);

create table core_repositoryversion (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    repository_id blob not null references core_repository (pulp_id) on delete cascade,
    number bigint not null,
    complete boolean not null default false,
    base_version_id blob,
    info text not null default '{}',
    unique (repository_id, number)
) without rowid;

create table core_repositorycontent (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    content_id blob not null,
    repository_id blob not null,
    version_added_id blob not null,
    version_removed_id blob,
    unique (repository_id, content_id, version_added_id)
) without rowid;
create index core_repositorycontent_content on core_repositorycontent (content_id);
create index core_repositorycontent_added on core_repositorycontent (version_added_id, content_id);
create index core_repositorycontent_removed on core_repositorycontent (version_removed_id) where version_removed_id is not null;

create table core_repositoryversioncontentdetails (
    id integer primary key autoincrement,
    repository_version_id blob not null references core_repositoryversion (pulp_id) on delete cascade,
    count_type text not null,
    content_type text not null,
    count bigint not null,
    unique (repository_version_id, count_type, content_type)
);

create table core_publication (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    pulp_type text not null,
    complete boolean not null default false,
    pass_through boolean not null default false,
    checkpoint boolean not null default false,
    repository_version_id blob not null references core_repositoryversion (pulp_id) on delete cascade,
    pulp_domain_id blob not null references core_domain (pulp_id)
) without rowid;
create index core_publication_version on core_publication (repository_version_id);

create table core_publishedartifact (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    relative_path text not null,
    content_artifact_id blob not null,
    publication_id blob not null references core_publication (pulp_id) on delete cascade,
    unique (publication_id, relative_path)
) without rowid;
create index core_publishedartifact_ca on core_publishedartifact (content_artifact_id);

-- Published metadata is content: its file hangs on a content artifact as every other.
create table core_publishedmetadata (
    content_ptr_id blob primary key,
    relative_path text not null,
    publication_id blob not null references core_publication (pulp_id) on delete cascade,
    unique (publication_id, relative_path)
) without rowid;

create table core_contentguard (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    pulp_type text not null,
    name text not null,
    description text,
    pulp_domain_id blob not null references core_domain (pulp_id),
    unique (name, pulp_domain_id)
) without rowid;

create table core_distribution (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    pulp_type text not null,
    pulp_labels text not null default '{}',
    name text not null,
    base_path text not null,
    hidden boolean default false,
    checkpoint boolean not null default false,
    content_guard_id blob references core_contentguard (pulp_id) on delete set null,
    publication_id blob references core_publication (pulp_id) on delete set null,
    remote_id blob references core_remote (pulp_id) on delete set null,
    repository_id blob references core_repository (pulp_id) on delete set null,
    repository_version_id blob references core_repositoryversion (pulp_id) on delete set null,
    pulp_domain_id blob not null references core_domain (pulp_id),
    unique (name, pulp_domain_id),
    unique (base_path, pulp_domain_id)
) without rowid;
create index core_distribution_publication on core_distribution (publication_id);
create index core_distribution_repository on core_distribution (repository_id);
create index core_distribution_remote on core_distribution (remote_id);
create index core_distribution_version on core_distribution (repository_version_id);
create index core_distribution_guard on core_distribution (content_guard_id);

-- Publications that a distribution served until lately: their files stay reachable for a grace period.
create table core_distributedpublication (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    expires_at datetime,
    distribution_id blob not null references core_distribution (pulp_id) on delete cascade,
    publication_id blob not null references core_publication (pulp_id) on delete cascade
) without rowid;
create index core_distributedpublication_distribution on core_distributedpublication (distribution_id);
create index core_distributedpublication_publication on core_distributedpublication (publication_id);

create table core_appstatus (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    app_type text not null,
    name text not null,
    versions text not null default '{}',
    ttl bigint not null,
    last_heartbeat datetime not null
) without rowid;

create table core_taskgroup (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    description text not null,
    all_tasks_dispatched boolean not null default false,
    pulp_domain_id blob not null references core_domain (pulp_id)
) without rowid;

create table core_task (
    -- Dispatch order: strict among tasks that conflict.
    sequence integer primary key autoincrement,
    pulp_id blob not null unique,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    state text not null,
    name text not null,
    logging_cid text not null default '',
    started_at datetime,
    unblocked_at datetime,
    finished_at datetime,
    error text,
    result text,
    args text not null default '{}',
    versions text not null default '{}',
    reserved_resources_record text not null default '[]',
    immediate boolean not null default false,
    deferred boolean not null default true,
    profile_options text,
    pulp_api_version text not null default 'v3',
    -- The lease: who runs it, a token that grows with each claim, and until when.
    app_lock_id blob,
    fence bigint not null default 0,
    user_id bigint references auth_user (id) on delete set null,
    parent_task_id blob references core_task (pulp_id) on delete set null,
    task_group_id blob references core_taskgroup (pulp_id) on delete set null,
    pulp_domain_id blob not null references core_domain (pulp_id)
);
create index core_task_state_created on core_task (state, pulp_created);
create index core_task_created on core_task (pulp_created);
create index core_task_busy on core_task (sequence) where state in ('running', 'canceling');
-- What a worker may take, by tenant; and what waits for another task.
create index core_task_ready on core_task (sequence) where state = 'waiting' and unblocked_at is not null;
create index core_task_ready_domain on core_task (pulp_domain_id, sequence) where state = 'waiting' and unblocked_at is not null;
create index core_task_blocked on core_task (sequence) where state = 'waiting' and unblocked_at is null;
create index core_task_lock on core_task (app_lock_id) where app_lock_id is not null;
create index core_task_cid on core_task (logging_cid);
create index core_task_group on core_task (task_group_id) where task_group_id is not null;
create index core_task_parent on core_task (parent_task_id) where parent_task_id is not null;

-- What unfinished tasks have reserved; a task's rows go when it ends. The earliest of those that conflict has the resource.
create table core_taskreservation (
    task_sequence bigint not null references core_task (sequence) on delete cascade,
    resource text not null,
    exclusive boolean not null,
    primary key (task_sequence, resource)
) without rowid;
create index core_taskreservation_resource on core_taskreservation (resource, task_sequence);
create index core_taskreservation_exclusive on core_taskreservation (resource, task_sequence) where exclusive;

create table core_progressreport (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    message text not null,
    code text not null,
    state text not null,
    total bigint,
    done bigint not null default 0,
    suffix text,
    task_id blob not null references core_task (pulp_id) on delete cascade
) without rowid;
create index core_progressreport_task on core_progressreport (task_id);

create table core_groupprogressreport (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    message text not null,
    code text not null,
    total bigint not null default 0,
    done bigint not null default 0,
    suffix text,
    task_group_id blob not null references core_taskgroup (pulp_id) on delete cascade,
    unique (code, task_group_id)
) without rowid;

create table core_createdresource (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    object_id blob not null,
    -- The model's label, as in a PRN: `core.repositoryversion`.
    content_type text not null,
    href text not null,
    task_id blob not null references core_task (pulp_id) on delete cascade
) without rowid;
create index core_createdresource_task on core_createdresource (task_id);
create index core_createdresource_object on core_createdresource (object_id);

create table core_upload (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    size bigint not null,
    pulp_domain_id blob not null references core_domain (pulp_id)
) without rowid;

create table core_uploadchunk (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    "offset" bigint not null,
    size bigint not null,
    file text not null,
    upload_id blob not null references core_upload (pulp_id) on delete cascade
) without rowid;
create index core_uploadchunk_upload on core_uploadchunk (upload_id);

create table core_pulptemporaryfile (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    file text not null,
    pulp_domain_id blob not null references core_domain (pulp_id)
) without rowid;
