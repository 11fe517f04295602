-- How many units of each type a domain has: a list of all of them tells that number, and need not count a million rows for it. Kept by triggers, so
-- that no code path can forget it.
--
-- The number is the sum of several rows: a transaction adds to one that nobody holds, and where all are held it makes another. So nobody waits for
-- anybody, and there are never more rows than there were transactions at once.
create table core_contentcount (
    slot bigint generated always as identity primary key,
    pulp_domain_id uuid not null references core_domain (pulp_id) on delete cascade,
    pulp_type text not null,
    units bigint not null
);
create index core_contentcount_of on core_contentcount (pulp_domain_id, pulp_type);

create function core_count_units() returns trigger language plpgsql set search_path from current as $$
declare
    change record;
begin
    for change in
        select pulp_domain_id, pulp_type, case tg_op when 'DELETE' then -count(*) else count(*) end as units from changed group by 1, 2
    loop
        update core_contentcount set units = units + change.units where slot = (
            select slot from core_contentcount where pulp_domain_id = change.pulp_domain_id and pulp_type = change.pulp_type
            limit 1 for update skip locked
        );
        if not found then
            insert into core_contentcount (pulp_domain_id, pulp_type, units) values (change.pulp_domain_id, change.pulp_type, change.units);
        end if;
    end loop;
    return null;
end $$;
-- First the triggers, which keep writers away until the units are counted.
create trigger core_content_come after insert on core_content
    referencing new table as changed for each statement execute function core_count_units();
create trigger core_content_go after delete on core_content
    referencing old table as changed for each statement execute function core_count_units();
insert into core_contentcount (pulp_domain_id, pulp_type, units)
    select pulp_domain_id, pulp_type, count(*) from core_content group by pulp_domain_id, pulp_type;
