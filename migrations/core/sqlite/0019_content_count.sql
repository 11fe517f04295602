-- How many units of each type a domain has: a list of all of them tells that number, and need not count a million rows for it. Kept by triggers, so
-- that no code path can forget it.
create table core_contentcount (
    pulp_domain_id blob not null references core_domain (pulp_id) on delete cascade,
    pulp_type text not null,
    units integer not null,
    primary key (pulp_domain_id, pulp_type)
) without rowid;
insert into core_contentcount (pulp_domain_id, pulp_type, units)
    select pulp_domain_id, pulp_type, count(*) from core_content group by pulp_domain_id, pulp_type;

create trigger core_content_come after insert on core_content begin
    insert into core_contentcount (pulp_domain_id, pulp_type, units) values (new.pulp_domain_id, new.pulp_type, 1)
        on conflict (pulp_domain_id, pulp_type) do update set units = units + 1;
end;
create trigger core_content_go after delete on core_content begin
    update core_contentcount set units = units - 1 where pulp_domain_id = old.pulp_domain_id and pulp_type = old.pulp_type;
end;
