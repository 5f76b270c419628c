-- The tables `frames` and `sources` with the addresses where the footage was seen last. Run by Dataset.duckdb() over the views
-- frames_stored and sources_stored (the files as they are), addresses, and moved: frame_key (the frame_id of an image,
-- otherwise the source_id) and uri of what was seen at several addresses.

CREATE VIEW frames AS
SELECT f.* REPLACE (coalesce(m.uri, f.uri) AS uri)
FROM frames_stored AS f
LEFT JOIN moved AS m ON m.frame_key = CASE WHEN f.frame_index IS NULL THEN f.frame_id ELSE f.source_id END;

-- `uris` are the files or folders where the source was seen, the latest first. A source of one file has the id of the file,
-- after `v` and the number of its video stream where that isn't the default one.
CREATE VIEW sources AS
WITH places AS (
    SELECT source_id,
           CASE WHEN source_id IN (SELECT source_id FROM sources_stored WHERE kind = 'images')
           THEN regexp_replace(uri, '/[^/]*$', '') ELSE uri END AS uri,
           min(uri) AS first_file, min(first_seen) AS first_seen, max(last_seen) AS last_seen
    FROM addresses
    GROUP BY ALL
),
seen AS (
    SELECT source_id AS file_id, max(last_seen) AS last_seen,
           list({'uri': uri, 'first_seen': first_seen, 'last_seen': last_seen}
                ORDER BY last_seen DESC, first_seen DESC, first_file) AS uris
    FROM places GROUP BY source_id
),
sizes AS (
    SELECT source_id AS file_id, sum(bytes)::BIGINT AS bytes
    FROM (SELECT DISTINCT source_id, key, bytes FROM addresses) GROUP BY source_id
)
SELECT s.* REPLACE (coalesce(p.uris[1].uri, s.uri) AS uri), p.uris, z.bytes, p.last_seen
FROM sources_stored AS s
LEFT JOIN seen AS p ON p.file_id = regexp_replace(s.source_id, '^v[0-9]+-', '')
LEFT JOIN sizes AS z ON z.file_id = p.file_id;
