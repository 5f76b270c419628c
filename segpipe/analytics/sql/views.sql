-- What a dataset's connection has beside its tables: run by Dataset.duckdb() over the views frames, class_stats, sources
-- and classes. No variables. A class that a frame doesn't show has no row in class_stats: means over frames divide by
-- frames, never by rows.

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
       f.timestamp, f.latitude, f.longitude, f.speed_mps, f.heading_deg, f.track_m, f.usable, f.uri
FROM class_stats AS s
JOIN frames AS f USING (frame_id)
JOIN classes AS c ON c.class_id = s.class_id;

-- The way that each usable frame stands for, in metres: half the way to the frame before and half to the one after, of
-- the same source. Frames at a standstill get 0, so that red lights don't outweigh miles. A step to a frame without
-- track_m, or of more than 500 m (a hole in the footage), counts 0. `drive_m` is the odometer along the drive: track_m
-- plus the ways of the drive's sources before this one; what lies between two sources isn't counted.
CREATE VIEW frame_metres AS
WITH steps AS (
    SELECT frame_id, source_id, frame_index, pts_s, timestamp, latitude, longitude, speed_mps, track_m, usable,
           track_m - lag(track_m) OVER in_order AS back_m,
           lead(track_m) OVER in_order - track_m AS ahead_m
    FROM frames
    WINDOW in_order AS (PARTITION BY source_id ORDER BY coalesce(pts_s, epoch(timestamp)), frame_id)
), ways AS (
    SELECT source_id, min(track_m) AS first_m, max(track_m) - min(track_m) AS way_m
    FROM frames WHERE track_m IS NOT NULL GROUP BY source_id
), offsets AS (
    SELECT w.source_id, coalesce(s.drive_id, w.source_id) AS drive_id,
           coalesce(sum(w.way_m) OVER earlier, 0) - w.first_m AS offset_m
    FROM ways AS w LEFT JOIN sources AS s USING (source_id)
    WINDOW earlier AS (
        PARTITION BY coalesce(s.drive_id, w.source_id) ORDER BY s.drive_index, w.source_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
)
SELECT frame_id, source_id, drive_id, frame_index, pts_s, timestamp, latitude, longitude, speed_mps, track_m,
       track_m + offset_m AS drive_m,
       CASE WHEN back_m BETWEEN 0 AND 500 THEN back_m / 2 ELSE 0 END
       + CASE WHEN ahead_m BETWEEN 0 AND 500 THEN ahead_m / 2 ELSE 0 END AS metres
FROM steps JOIN offsets USING (source_id)
WHERE usable AND track_m IS NOT NULL;
