create table file_filealternatecontentsource (
    alternatecontentsource_ptr_id blob primary key references core_alternatecontentsource (pulp_id) on delete cascade
) without rowid;
