-- What a dataset's connection has beside its tables: run by Dataset.duckdb() over the views frames, class_stats, sources,
-- classes and regions. No variables. A class that a frame doesn't show has no row in class_stats: a mean over its rows is
-- a mean over the frames that show the class. Means over all frames come from class_shares.
-- Where a view has odometer_m, track_m is the same under its old name, until version 0.3.

-- A row for each class of the model in each region of each frame. A class that the frame doesn't show in the region has
-- pixel_fraction 0; null are the fractions of failed frames, and of regions without a valid pixel in this frame. A class that
-- the model doesn't have has no row. Filters on region and on the class's names are applied before the join.
CREATE VIEW class_shares AS
WITH parts AS (
    -- The valid pixels of the whole frame stand in frames: no need to look for them.
    SELECT frame_id, source_id, frame_index, pts_s, timestamp, usable, status, 'frame' AS region,
           CASE WHEN status = 'ok' THEN nullif(valid_pixels, 0) END AS valid_pixels
    FROM frames
    UNION ALL
    SELECT f.frame_id, f.source_id, f.frame_index, f.pts_s, f.timestamp, f.usable, f.status, r.region, v.valid_pixels
    FROM frames AS f
    CROSS JOIN regions AS r
    LEFT JOIN (
        SELECT frame_id, region, any_value(valid_pixels) AS valid_pixels
        FROM class_stats WHERE region <> 'frame' GROUP BY frame_id, region
    ) AS v ON v.frame_id = f.frame_id AND v.region = r.region
    WHERE r.region <> 'frame'
)
SELECT p.frame_id, p.source_id, p.frame_index, p.pts_s, p.timestamp, p.usable, p.status, p.region, c.class_id, c.class_name,
       c.common_name, p.valid_pixels,
       CASE WHEN p.valid_pixels IS NOT NULL THEN coalesce(s.pixel_count, 0) END AS pixel_count,
       CASE WHEN p.valid_pixels IS NOT NULL THEN coalesce(s.pixel_fraction, 0) END AS pixel_fraction
FROM parts AS p
CROSS JOIN classes AS c
LEFT JOIN class_stats AS s ON s.frame_id = p.frame_id AND s.region = p.region AND s.class_id = c.class_id;

-- The statistics under the names that models with different classes share. `pixel_count` and `pixel_fraction` are sums
-- over the classes behind a common name; `valid_pixels` is the region's, the denominator.
CREATE VIEW common_stats AS
SELECT frame_id, source_id, frame_index, any_value(pts_s) AS pts_s, region, common_name,
       sum(pixel_count) AS pixel_count, any_value(valid_pixels) AS valid_pixels, sum(pixel_fraction) AS pixel_fraction
FROM class_stats JOIN classes USING (class_id)
GROUP BY frame_id, source_id, frame_index, region, common_name;

-- Each row of class_stats with the short names `class` and `common`, and when, where and how fast it was seen.
CREATE VIEW observations AS
SELECT s.*, s.class_name AS "class", c.common_name, c.common_name AS common,
       f.timestamp, f.latitude, f.longitude, f.speed_mps, f.heading_deg, f.odometer_m, f.usable, f.uri, f.track_m
FROM class_stats AS s
JOIN frames AS f USING (frame_id)
JOIN classes AS c ON c.class_id = s.class_id;

-- The way that each usable frame stands for, in metres: half the way to the frame before and half to the one after, of
-- the same source. Frames at a standstill get 0, so that red lights don't outweigh miles. A step to a frame without
-- odometer_m, or of more than 500 m (a hole in the footage), counts 0. The video streams of one file (front and rear) film
-- the same way: their frames share it, so that a sum over the file is the way that was driven, and not twice that.
-- `drive_m` is the odometer along the drive: odometer_m plus the ways of the drive's files before this one; what lies between
-- two files isn't counted.
CREATE VIEW frame_metres AS
WITH steps AS (
    SELECT frame_id, source_id, frame_index, pts_s, timestamp, latitude, longitude, speed_mps, odometer_m, usable,
           odometer_m - lag(odometer_m) OVER in_order AS back_m,
           lead(odometer_m) OVER in_order - odometer_m AS ahead_m
    FROM frames
    WINDOW in_order AS (PARTITION BY source_id ORDER BY coalesce(pts_s, epoch(timestamp)), frame_id)
), standing AS MATERIALIZED (
    SELECT * EXCLUDE (back_m, ahead_m),
           CASE WHEN back_m BETWEEN 0 AND 500 THEN back_m / 2 ELSE 0 END
           + CASE WHEN ahead_m BETWEEN 0 AND 500 THEN ahead_m / 2 ELSE 0 END AS way_m
    FROM steps WHERE odometer_m IS NOT NULL
), streams AS (
    SELECT w.*, coalesce(s.drive_id, w.source_id) AS drive_id, s.drive_index,
           regexp_replace(w.source_id, '^v[0-9]+-', '') AS file
    FROM (
        SELECT source_id, min(odometer_m) AS first_m, max(odometer_m) AS last_m, sum(way_m) FILTER (usable) AS usable_m
        FROM standing GROUP BY source_id
    ) AS w LEFT JOIN sources AS s USING (source_id)
), files AS (
    SELECT drive_id, file, any_value(drive_index) AS drive_index, min(source_id) AS first_id, min(first_m) AS first_m,
           max(last_m) - min(first_m) AS file_m, coalesce(max(usable_m) / nullif(sum(usable_m), 0), 1) AS share
    FROM streams GROUP BY drive_id, file
), offsets AS (
    SELECT s.source_id, f.drive_id, f.share, f.offset_m
    FROM streams AS s JOIN (
        SELECT *, coalesce(sum(file_m) OVER earlier, 0) - first_m AS offset_m FROM files
        WINDOW earlier AS (
            PARTITION BY drive_id ORDER BY drive_index, first_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    ) AS f USING (drive_id, file)
)
SELECT frame_id, source_id, drive_id, frame_index, pts_s, timestamp, latitude, longitude, speed_mps, odometer_m,
       odometer_m + offset_m AS drive_m, way_m * share AS metres, odometer_m AS track_m
FROM standing JOIN offsets USING (source_id)
WHERE usable;
