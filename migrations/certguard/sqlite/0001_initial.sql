create table certguard_rhsmcertguard (
    contentguard_ptr_id blob primary key references core_contentguard (pulp_id) on delete cascade,
    ca_certificate text not null
) without rowid;

create table certguard_x509certguard (
    contentguard_ptr_id blob primary key references core_contentguard (pulp_id) on delete cascade,
    ca_certificate text not null
) without rowid;
