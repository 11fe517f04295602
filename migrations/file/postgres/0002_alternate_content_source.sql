create table file_filealternatecontentsource (
    alternatecontentsource_ptr_id uuid primary key references core_alternatecontentsource (pulp_id) on delete cascade
);
