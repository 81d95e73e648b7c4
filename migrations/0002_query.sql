-- What queries read. Every row follows from committed outcome bytes or from the world graph.

CREATE TABLE cycle (
    seq            INTEGER PRIMARY KEY,
    tick           INTEGER NOT NULL,
    t_ms           INTEGER NOT NULL,
    wall_ns        INTEGER NOT NULL,
    outcome_code   INTEGER NOT NULL,
    privacy_class  INTEGER NOT NULL,
    gate           TEXT NOT NULL,
    quality        REAL,
    people         INTEGER,
    presence_state TEXT NOT NULL,
    presence_p     REAL,
    simulated      INTEGER NOT NULL
) STRICT;
CREATE INDEX cycle_by_wall ON cycle (wall_ns);

CREATE TABLE track (
    cycle     INTEGER NOT NULL,
    id        INTEGER NOT NULL,
    active    INTEGER NOT NULL,
    existence REAL NOT NULL,
    x         REAL,
    y         REAL,
    z         REAL,
    vx        REAL,
    vy        REAL,
    vz        REAL,
    sigma_m   REAL NOT NULL,
    PRIMARY KEY (cycle, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX track_by_id ON track (id, cycle);

-- Rows are intervals of cycles: to_seq is the first cycle without, null while it lasts.
CREATE TABLE world_node (
    id       TEXT NOT NULL,
    kind     TEXT NOT NULL,
    label    TEXT NOT NULL,
    from_seq INTEGER NOT NULL,
    to_seq   INTEGER,
    PRIMARY KEY (id, from_seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX world_node_live ON world_node (id) WHERE to_seq IS NULL;

CREATE TABLE world_edge (
    src      TEXT NOT NULL,
    dst      TEXT NOT NULL,
    kind     TEXT NOT NULL,
    label    TEXT NOT NULL,
    from_seq INTEGER NOT NULL,
    to_seq   INTEGER,
    PRIMARY KEY (src, dst, kind, from_seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX world_edge_live ON world_edge (src, dst, kind) WHERE to_seq IS NULL;
