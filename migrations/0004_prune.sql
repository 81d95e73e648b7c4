-- Secrets behind the salts: one a tile of 256 leaves, so that a range of cycles can be made impossible to open.
-- first_seq: the leaf from which it holds, until the next row or the end of its tile.
CREATE TABLE tile_salt (
    first_seq INTEGER PRIMARY KEY,
    key       BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;

-- Until now there was one a UTC day. Where no cycle is kept any more there is nothing left to open.
INSERT INTO tile_salt (first_seq, key)
SELECT min(c.seq), s.key FROM cycle c JOIN salt s ON s.day = c.wall_ns / 86400000000000 GROUP BY c.seq / 256, s.day;

DROP TABLE salt;
ALTER TABLE tile_salt RENAME TO salt;
