-- Who may do what: groups, roles and where they are given, access policies. `core_userrole.object_id` holds the key as other tables
-- do (a group's number as the UUID of that number), so that a list compares keys with keys.

create table django_content_type (
    id integer primary key autoincrement,
    app_label text not null,
    model text not null,
    unique (app_label, model)
);

create table auth_permission (
    id integer primary key autoincrement,
    name text not null,
    content_type_id bigint not null references django_content_type (id),
    codename text not null,
    unique (content_type_id, codename)
);

create table auth_group (
    id integer primary key autoincrement,
    name text not null unique
);

create table auth_user_groups (
    id integer primary key autoincrement,
    user_id bigint not null references auth_user (id) on delete cascade,
    group_id bigint not null references auth_group (id) on delete cascade,
    unique (user_id, group_id)
);
create index auth_user_groups_group on auth_user_groups (group_id);

create table core_role (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    name text not null unique,
    description text,
    locked boolean not null default false
) without rowid;

create table core_role_permissions (
    id integer primary key autoincrement,
    role_id blob not null references core_role (pulp_id) on delete cascade,
    permission_id bigint not null references auth_permission (id),
    unique (role_id, permission_id)
);
create index core_role_permissions_permission on core_role_permissions (permission_id, role_id);

create table core_userrole (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    object_id blob,
    content_type_id bigint references django_content_type (id),
    role_id blob not null references core_role (pulp_id) on delete cascade,
    user_id bigint not null references auth_user (id) on delete cascade,
    domain_id blob references core_domain (pulp_id) on delete cascade
) without rowid;
-- Nulls are told apart by a unique index: none of these may be null in it.
create unique index core_userrole_once on core_userrole
    (user_id, role_id, coalesce(content_type_id, 0), coalesce(object_id, x'00000000000000000000000000000000'), coalesce(domain_id, x'00000000000000000000000000000000'));
create index core_userrole_seen on core_userrole (user_id, content_type_id, role_id, object_id);
create index core_userrole_object on core_userrole (object_id) where object_id is not null;
create index core_userrole_role on core_userrole (role_id);
create index core_userrole_domain on core_userrole (domain_id) where domain_id is not null;

create table core_grouprole (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    object_id blob,
    content_type_id bigint references django_content_type (id),
    role_id blob not null references core_role (pulp_id) on delete cascade,
    group_id bigint not null references auth_group (id) on delete cascade,
    domain_id blob references core_domain (pulp_id) on delete cascade
) without rowid;
create unique index core_grouprole_once on core_grouprole
    (group_id, role_id, coalesce(content_type_id, 0), coalesce(object_id, x'00000000000000000000000000000000'), coalesce(domain_id, x'00000000000000000000000000000000'));
create index core_grouprole_seen on core_grouprole (group_id, content_type_id, role_id, object_id);
create index core_grouprole_object on core_grouprole (object_id) where object_id is not null;
create index core_grouprole_role on core_grouprole (role_id);
create index core_grouprole_domain on core_grouprole (domain_id) where domain_id is not null;

create table core_accesspolicy (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    statements text not null,
    viewset_name text not null unique,
    creation_hooks text,
    customized boolean not null default false,
    queryset_scoping text
) without rowid;

-- Publications, tasks and uploads go by many ways, some of them cascades: what was given on them goes with them.
create trigger core_publication_forget after delete on core_publication begin
    delete from core_userrole where object_id = old.pulp_id;
    delete from core_grouprole where object_id = old.pulp_id;
end;
create trigger core_task_forget after delete on core_task begin
    delete from core_userrole where object_id = old.pulp_id;
    delete from core_grouprole where object_id = old.pulp_id;
end;
create trigger core_upload_forget after delete on core_upload begin
    delete from core_userrole where object_id = old.pulp_id;
    delete from core_grouprole where object_id = old.pulp_id;
end;
