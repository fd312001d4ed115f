/** The format's number. Raised only for changes that no feature name can describe. */
export const FORMAT = '1';

/**
 * Features that a store made by this version has, by who must understand them: nobody, every
 * writer, or everybody. `docs/storage-format.md` describes each.
 */
export const FEATURES: Readonly<Record<FeatureKind, readonly string[]>> = {
  compatible: ['recipes', 'build-cache', 'proven-layers'],
  'read-only-compatible': ['leases', 'containers'],
  incompatible: ['layers-by-number'],
};

export type FeatureKind = 'compatible' | 'read-only-compatible' | 'incompatible';

/** So that file(1) and other programs do not take it for a database of theirs: "Mica". */
export const APPLICATION_ID = 0x4d696361;

/**
 * What features add to the schema that came after its first version; none is of the incompatible kind. A store that was made before gets it at the first
 * opening for writing; until then it reads as empty.
 */
export const ADDITIONS: Readonly<Record<string, string>> = {
  recipes: `
  create table recipe (
    digest       text primary key,
    diff_id      text not null,
    tried        integer not null,
    prover       text not null,
    reason       text,
    recipe       text,
    compressor   text,
    milliseconds integer,
    check_digest text,
    data         blob,
    check ((recipe is null) <> (reason is null))
  ) strict;

  create table dropped (
    digest  text primary key,
    size    integer not null,
    how     text not null check (how in ('recreate', 'refetch')),
    origins text not null,
    time    integer not null
  ) strict, without rowid;`,
  containers: `
  create table container (
    id       text primary key,
    name     text not null unique,
    image    text not null,
    settings text not null,
    created  integer not null
  ) strict, without rowid;`,

  'build-cache': `
  create table build_step (
    key     text primary key,
    kind    text not null,
    source  text not null,
    parent  text not null,
    layer   text,
    created text not null,
    inputs  blob not null,
    made    integer not null,
    used    integer not null
  ) strict;`,
  'proven-layers': `
  create table proven_layer (
    digest  text not null,
    diff_id text not null,
    primary key (digest, diff_id)
  ) strict, without rowid;
  insert into proven_layer select digest, diff_id from recipe where recipe is not null;`,
};

/** Times are milliseconds since 1970. `lease` columns name who works on a row that is in progress. */
export const SCHEMA = `
  create table meta (
    key   text primary key,
    value text not null
  ) strict, without rowid;

  create table feature (
    name text primary key,
    kind text not null check (kind in ('compatible', 'read-only-compatible', 'incompatible'))
  ) strict, without rowid;

  create table lease (
    id      text primary key,
    purpose text not null,
    pid     integer not null,
    created integer not null
  ) strict, without rowid;

  create table held (
    lease text not null references lease (id) on delete cascade,
    kind  text not null check (kind in ('blob', 'layer')),
    key   text not null,
    primary key (lease, kind, key)
  ) strict, without rowid;

  create table blob (
    digest  text primary key,
    size    integer not null,
    state   text not null check (state in ('arrived', 'ready', 'removing')),
    boot    text,
    created integer not null
  ) strict, without rowid;
  create index blob_unsettled on blob (state) where state <> 'ready';

  create table layer (
    id           integer primary key autoincrement,
    driver       text not null,
    form         text not null,
    key          text,
    diff_id      text,
    state        text not null check (state in ('building', 'built', 'ready', 'active', 'removing')),
    lease        text,
    boot         text,
    dependent    integer not null default 0,
    tar_size     integer,
    index_size   integer,
    index_digest text,
    stats        text,
    created      integer not null
  ) strict;
  create unique index layer_key on layer (driver, key) where key is not null and state <> 'removing';
  create index layer_diff_id on layer (diff_id);
  create index layer_unsettled on layer (state) where state <> 'ready';

  create table snapshot (
    id             integer primary key autoincrement,
    name           text not null unique,
    kind           text not null check (kind in ('active', 'view', 'committed')),
    state          text not null check (state in ('creating', 'ready', 'committing')),
    parent         integer references snapshot (id),
    layer          integer not null references layer (id),
    target         text unique,
    target_parent  integer references snapshot (id),
    target_diff_id text,
    labels         text not null default '{}',
    lease          text,
    created        integer not null,
    updated        integer not null
  ) strict;
  create index snapshot_parent on snapshot (parent);
  create index snapshot_target_parent on snapshot (target_parent);
  create index snapshot_layer on snapshot (layer);
  create index snapshot_unsettled on snapshot (state) where state <> 'ready';

  create table image (
    id     text primary key,
    config blob not null,
    pulled integer not null
  ) strict;

  create table manifest (
    digest     text primary key,
    image      text not null references image (id) on delete cascade,
    media_type text not null,
    document   blob not null,
    created    integer not null
  ) strict;
  create index manifest_image on manifest (image);

  create table reference (
    name     text primary key,
    image    text not null references image (id),
    manifest text not null references manifest (digest),
    target   text not null,
    updated  integer not null
  ) strict, without rowid;
  create index reference_image on reference (image);
  create index reference_manifest on reference (manifest);

  create table repo_digest (
    repository text not null,
    digest     text not null,
    image      text not null references image (id) on delete cascade,
    manifest   text not null references manifest (digest) on delete cascade,
    target     text not null,
    primary key (repository, digest, image)
  ) strict, without rowid;
  create index repo_digest_image on repo_digest (image);
  create index repo_digest_manifest on repo_digest (manifest);

  create table mount (
    target    text not null,
    namespace text not null,
    boot      text not null,
    snapshot  text not null,
    image     text not null,
    layers    integer not null,
    created   integer not null,
    primary key (target, namespace, boot)
  ) strict, without rowid;

  create table registry_link (
    repository text not null,
    digest     text not null,
    created    integer not null,
    primary key (repository, digest)
  ) strict, without rowid;

  create table registry_manifest (
    repository text not null,
    digest     text not null,
    media_type text not null,
    subject    text,
    primary key (repository, digest)
  ) strict, without rowid;
  create index registry_manifest_subject on registry_manifest (repository, subject);

  create table registry_need (
    repository text not null,
    manifest   text not null,
    digest     text not null,
    primary key (repository, manifest, digest),
    foreign key (repository, manifest) references registry_manifest on delete cascade
  ) strict, without rowid;
  create index registry_need_digest on registry_need (repository, digest);

  create table registry_tag (
    repository text not null,
    name       text not null,
    manifest   text not null,
    primary key (repository, name),
    foreign key (repository, manifest) references registry_manifest on delete cascade
  ) strict, without rowid;
  create index registry_tag_manifest on registry_tag (repository, manifest);`;
