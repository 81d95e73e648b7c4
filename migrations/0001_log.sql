-- The log itself. Leaves and tiles are only ever added; the triggers guard against our own mistakes.

CREATE TABLE meta (
    k TEXT PRIMARY KEY,
    v ANY NOT NULL
) STRICT;

CREATE TABLE leaf (
    seq  INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 13),
    body BLOB NOT NULL CHECK (length(body) BETWEEN 124 AND 65535)
) STRICT;
CREATE INDEX leaf_other_than_cycle ON leaf (kind, seq) WHERE kind <> 1;

CREATE TABLE tile (
    level INTEGER NOT NULL CHECK (level BETWEEN 0 AND 7),
    idx   INTEGER NOT NULL CHECK (idx >= 0),
    width INTEGER NOT NULL CHECK (width BETWEEN 1 AND 256),
    data  BLOB NOT NULL CHECK (length(data) = 32 * width),
    PRIMARY KEY (level, idx)
) STRICT;

CREATE TABLE checkpoint (
    size INTEGER PRIMARY KEY,
    note TEXT NOT NULL
) STRICT;

-- What leaves name by hash: manifests, configurations, calibrations.
CREATE TABLE blob (
    hash  BLOB PRIMARY KEY CHECK (length(hash) = 32),
    kind  TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

-- What CYCLE leaves commit to; forgotten after the retention time.
CREATE TABLE cycle_data (
    seq     INTEGER PRIMARY KEY,
    inputs  BLOB,
    stages  BLOB NOT NULL,
    outcome BLOB NOT NULL,
    state   BLOB
) STRICT;

-- Finds the oldest raw input still kept.
CREATE INDEX cycle_data_with_inputs ON cycle_data (seq) WHERE inputs IS NOT NULL;

-- The secret behind the salts of one UTC day.
CREATE TABLE salt (
    day INTEGER PRIMARY KEY,
    key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;

INSERT INTO meta (k, v) VALUES ('minimum_index', 0);

CREATE TRIGGER leaf_follows_the_last BEFORE INSERT ON leaf
WHEN NEW.seq <> coalesce((SELECT max(seq) + 1 FROM leaf), 0)
BEGIN
    SELECT raise(ABORT, 'a leaf follows the last one');
END;

CREATE TRIGGER leaf_is_never_changed BEFORE UPDATE ON leaf
BEGIN
    SELECT raise(ABORT, 'a leaf is never changed');
END;

CREATE TRIGGER leaf_is_kept BEFORE DELETE ON leaf
WHEN OLD.seq >= (SELECT v FROM meta WHERE k = 'minimum_index')
BEGIN
    SELECT raise(ABORT, 'a leaf at or above the minimum index is kept');
END;

CREATE TRIGGER tile_only_grows BEFORE UPDATE ON tile
WHEN NEW.width < OLD.width OR substr(NEW.data, 1, 32 * OLD.width) <> OLD.data
BEGIN
    SELECT raise(ABORT, 'a tile only grows');
END;

CREATE TRIGGER checkpoint_only_grows BEFORE INSERT ON checkpoint
WHEN NEW.size <= (SELECT max(size) FROM checkpoint)
BEGIN
    SELECT raise(ABORT, 'a checkpoint is larger than the last one');
END;

CREATE TRIGGER checkpoint_is_never_changed BEFORE UPDATE ON checkpoint
BEGIN
    SELECT raise(ABORT, 'a checkpoint is never changed');
END;
