-- Rollups: what the cycles of a second, a minute, an hour, a day add up to (server/src/rollup, docs/memory.md).

-- Time of the stages 1 to 9, nine little-endian u32 of microseconds; in no leaf.
ALTER TABLE cycle ADD COLUMN stage_us BLOB CHECK (stage_us IS NULL OR length(stage_us) = 36);

-- What is counted, by a name that outlives a change of the configuration.
CREATE TABLE rollup_series (
    id   INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 5),
    key  TEXT NOT NULL,
    UNIQUE (kind, key)
) STRICT;

-- start_s: first Unix second of the window. A missing row reads as rollup::levels says.
CREATE TABLE rollup (
    level   INTEGER NOT NULL CHECK (level BETWEEN 0 AND 3),
    series  INTEGER NOT NULL,
    start_s INTEGER NOT NULL,
    body    BLOB NOT NULL,
    PRIMARY KEY (level, series, start_s)
) STRICT, WITHOUT ROWID;

-- People come and go, so their rows lie in the order of time.
CREATE TABLE rollup_person (
    level   INTEGER NOT NULL CHECK (level BETWEEN 0 AND 3),
    start_s INTEGER NOT NULL,
    person  INTEGER NOT NULL,
    body    BLOB NOT NULL,
    PRIMARY KEY (level, start_s, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollup_person_by_person ON rollup_person (person, level, start_s);

-- Changes of occupancy. state: 0 unknown, 1 empty, 2 occupied.
CREATE TABLE rollup_event (
    t_ms   INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    series INTEGER NOT NULL,
    state  INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
    PRIMARY KEY (t_ms, seq, series)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollup_event_by_series ON rollup_event (series, t_ms, seq);

-- How far each level is: end_s is the end of its last window. bytes: of its rows, payload and 16 a row.
CREATE TABLE rollup_cursor (
    level INTEGER PRIMARY KEY CHECK (level BETWEEN 0 AND 3),
    end_s INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
INSERT INTO rollup_cursor (level, end_s, bytes) VALUES
    (0, -9000000000, 0), (1, -9000000000, 0), (2, -9000000000, 0), (3, -9000000000, 0);

-- The first cycle that is in no row, and what it has to know of those before it (rollup::Carry).
CREATE TABLE rollup_next (
    id    INTEGER PRIMARY KEY CHECK (id = 0),
    seq   INTEGER NOT NULL,
    carry BLOB NOT NULL
) STRICT;
INSERT INTO rollup_next (id, seq, carry) VALUES (0, 0, x'');
