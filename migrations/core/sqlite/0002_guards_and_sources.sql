-- Alternate content sources: remotes that have files that others have, too.
create table core_alternatecontentsource (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    pulp_type text not null,
    name text not null,
    last_refreshed datetime,
    remote_id blob not null references core_remote (pulp_id),
    pulp_domain_id blob not null references core_domain (pulp_id),
    unique (name, pulp_domain_id)
) without rowid;
create index core_alternatecontentsource_remote on core_alternatecontentsource (remote_id);

-- What a path has is known from a repository of its own, which no list shows.
create table core_alternatecontentsourcepath (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    path text not null,
    alternate_content_source_id blob not null references core_alternatecontentsource (pulp_id) on delete cascade,
    repository_id blob references core_repository (pulp_id) on delete set null,
    unique (alternate_content_source_id, path)
) without rowid;
create index core_alternatecontentsourcepath_repository on core_alternatecontentsourcepath (repository_id);
create index core_remoteartifact_sha256 on core_remoteartifact (sha256) where sha256 is not null;

create table core_headercontentguard (
    contentguard_ptr_id blob primary key references core_contentguard (pulp_id) on delete cascade,
    header_name text not null,
    header_value text not null,
    jq_filter text
) without rowid;

create table core_compositecontentguard (
    contentguard_ptr_id blob primary key references core_contentguard (pulp_id) on delete cascade
) without rowid;

create table core_compositecontentguard_guards (
    id integer primary key autoincrement,
    compositecontentguard_id blob not null references core_compositecontentguard (contentguard_ptr_id) on delete cascade,
    contentguard_id blob not null references core_contentguard (pulp_id) on delete cascade,
    unique (compositecontentguard_id, contentguard_id)
);
create index core_compositecontentguard_guards_guard on core_compositecontentguard_guards (contentguard_id);

create table core_contentredirectcontentguard (
    contentguard_ptr_id blob primary key references core_contentguard (pulp_id) on delete cascade,
    -- Encrypted.
    shared_secret text not null default ''
) without rowid;

create table core_rbaccontentguard (
    contentguard_ptr_id blob primary key references core_contentguard (pulp_id) on delete cascade
) without rowid;

create table core_envvarheadercontentguard (
    contentguard_ptr_id blob primary key references core_contentguard (pulp_id) on delete cascade,
    header_name text not null,
    env_var text not null
) without rowid;

create table core_artifactdistribution (
    distribution_ptr_id blob primary key references core_distribution (pulp_id) on delete cascade
) without rowid;

create table core_openpgpkeyring (
    repository_ptr_id blob primary key references core_repository (pulp_id) on delete cascade
) without rowid;

create table core_openpgpdistribution (
    distribution_ptr_id blob primary key references core_distribution (pulp_id) on delete cascade
) without rowid;

-- A key and its parts: each is a packet, kept as base64.
create table core_openpgppublickey (
    content_ptr_id blob primary key,
    raw_data text not null,
    fingerprint text not null,
    created datetime not null,
    _pulp_domain_id blob not null,
    unique (fingerprint, _pulp_domain_id)
) without rowid;

create table core_openpgppublicsubkey (
    content_ptr_id blob primary key,
    raw_data text not null,
    fingerprint text not null,
    created datetime not null,
    public_key_id blob not null,
    _pulp_domain_id blob not null,
    unique (public_key_id, fingerprint, _pulp_domain_id)
) without rowid;

create table core_openpgpuserid (
    content_ptr_id blob primary key,
    raw_data text not null,
    user_id text not null,
    public_key_id blob not null,
    _pulp_domain_id blob not null,
    unique (public_key_id, user_id, _pulp_domain_id)
) without rowid;

create table core_openpgpuserattribute (
    content_ptr_id blob primary key,
    raw_data text not null,
    sha256 text not null,
    public_key_id blob not null,
    _pulp_domain_id blob not null,
    unique (public_key_id, sha256, _pulp_domain_id)
) without rowid;

create table core_openpgpsignature (
    content_ptr_id blob primary key,
    raw_data text not null,
    sha256 text not null,
    signature_type bigint not null,
    created datetime not null,
    -- Seconds.
    expiration_time bigint,
    key_expiration_time bigint,
    issuer text,
    signers_user_id text,
    signed_content_id blob not null,
    _pulp_domain_id blob not null,
    unique (signed_content_id, sha256, _pulp_domain_id)
) without rowid;

create table core_signingservice (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    name text not null unique,
    -- The class that Pulp gives it, as the commands name it.
    kind text not null,
    script text not null,
    public_key text not null,
    pubkey_fingerprint text not null
) without rowid;

create table core_vulnerabilityreport (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    vulns text not null,
    content_id blob not null,
    pulp_domain_id blob not null references core_domain (pulp_id),
    unique (content_id)
) without rowid;

create table core_vulnerabilityreport_repo_versions (
    id integer primary key autoincrement,
    vulnerabilityreport_id blob not null references core_vulnerabilityreport (pulp_id) on delete cascade,
    repositoryversion_id blob not null references core_repositoryversion (pulp_id) on delete cascade,
    unique (vulnerabilityreport_id, repositoryversion_id)
);
create index core_vulnerabilityreport_repo_versions_version on core_vulnerabilityreport_repo_versions (repositoryversion_id);
