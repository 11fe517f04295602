-- What a distribution says of how it is served. Null where it says nothing: what the settings and the domain say.
alter table core_distribution add column time_travel boolean default false;
alter table core_distribution add column cache_control text;
alter table core_distribution add column redirect_to_object_storage boolean;

-- When a remote was deleted whose sources are kept: nobody sees it any more, and what was not stored yet is still fetched from it.
alter table core_remote add column deleted_at timestamptz;
