"""The tables of the embedded store's index and the queries that walk directories."""

SETTINGS = "PRAGMA synchronous=NORMAL; PRAGMA cache_size=-2000;"
SCHEMA = """
CREATE TABLE IF NOT EXISTS entries(
    cid BLOB PRIMARY KEY, kind TEXT NOT NULL, size INTEGER NOT NULL, provided INTEGER NOT NULL,
    damaged INTEGER NOT NULL DEFAULT 0, added REAL NOT NULL, leaves BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blocks(
    cid BLOB, root BLOB, position INTEGER, node BLOB, PRIMARY KEY(cid, root)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS blocks_by_root ON blocks(root);
CREATE TABLE IF NOT EXISTS links(parent BLOB, child BLOB, PRIMARY KEY(parent, child)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS links_by_child ON links(child);
CREATE TABLE IF NOT EXISTS pins(cid BLOB PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
"""
ABOVE = """
WITH RECURSIVE above(cid) AS (
    VALUES(?) UNION SELECT links.parent FROM links JOIN above ON links.child = above.cid)
SELECT max(provided) FROM entries JOIN above USING(cid)
"""
KEPT = """
WITH RECURSIVE kept(cid) AS (
    SELECT cid FROM pins WHERE until > :now
    UNION SELECT cid FROM entries WHERE added > :young
    UNION SELECT links.child FROM links JOIN kept ON links.parent = kept.cid)
SELECT cid, kind, size FROM entries WHERE cid NOT IN (SELECT cid FROM kept)
"""
GIVEN = """
WITH RECURSIVE given(cid) AS (
    SELECT cid FROM entries WHERE provided = 1
    UNION SELECT links.child FROM links JOIN given ON links.parent = given.cid)
SELECT cid FROM given
"""
PINNED = """
WITH RECURSIVE pinned(cid) AS (
    SELECT cid FROM pins WHERE until > :now
    UNION SELECT links.child FROM links JOIN pinned ON links.parent = pinned.cid)
SELECT cid FROM pinned
"""
