-- What has lost something that had it, and may be an orphan now: filled by triggers, so that no code path can forget it, and emptied by orphan
-- cleanup. A journal without a unique key: two that let go of the same unit at the same time never wait for each other.
create table core_releasedcontent (
    id integer primary key,
    content_id blob not null,
    pulp_domain_id blob not null
);
create index core_releasedcontent_domain on core_releasedcontent (pulp_domain_id, id);

create table core_releasedartifact (
    id integer primary key,
    artifact_id blob not null,
    pulp_domain_id blob not null
);
create index core_releasedartifact_domain on core_releasedartifact (pulp_domain_id, id);

-- How far orphan cleanup has looked: what nobody has touched since and nothing has let go of since is no orphan.
create table core_orphanscan (
    pulp_domain_id blob primary key references core_domain (pulp_id) on delete cascade,
    looked_until datetime not null,
    -- When everything was last looked at.
    complete_at datetime not null,
    -- When a process was last found dead: files that it has left without a row are not younger.
    litter_at datetime
) without rowid;

create trigger core_repositorycontent_release after delete on core_repositorycontent begin
    insert into core_releasedcontent (content_id, pulp_domain_id)
        select pulp_id, pulp_domain_id from core_content where pulp_id = old.content_id;
end;
create trigger core_publishedmetadata_release after delete on core_publishedmetadata begin
    insert into core_releasedcontent (content_id, pulp_domain_id)
        select pulp_id, pulp_domain_id from core_content where pulp_id = old.content_ptr_id;
end;
create trigger core_contentartifact_release after delete on core_contentartifact when old.artifact_id is not null begin
    insert into core_releasedartifact (artifact_id, pulp_domain_id)
        select pulp_id, pulp_domain_id from core_artifact where pulp_id = old.artifact_id;
end;
create trigger core_contentartifact_exchange after update of artifact_id on core_contentartifact
    when old.artifact_id is not null and old.artifact_id is not new.artifact_id begin
    insert into core_releasedartifact (artifact_id, pulp_domain_id)
        select pulp_id, pulp_domain_id from core_artifact where pulp_id = old.artifact_id;
end;

-- What was touched since a moment, of one domain. Each does what the index before it did, and more; so a row has as many as it had.
create index core_content_interest on core_content (pulp_domain_id, timestamp_of_interest, pulp_id);
create index core_artifact_interest on core_artifact (pulp_domain_id, timestamp_of_interest, pulp_id);
drop index core_content_timestamp;
drop index core_artifact_timestamp;
