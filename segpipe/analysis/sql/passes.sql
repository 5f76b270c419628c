-- What each pass through each cell saw: a row per cell and pass, with frames, metres and the weighted mean of each indicator.
-- A pass ends where nobody is in the cell for longer than pass_gap_s. What two sources saw of a cell at the same time is one pass:
-- two cameras of one car, or a copy of the same footage. Files without a clock are visitors of their own, by their content: a
-- camera uses its names again.
-- Takes the tables frame_cells (frame_id, cell) and indicators (indicator, common_name).
-- Variables:  weight      'metres': a frame counts by the way that it stands for; 'frames': all frames count the same
--             pass_gap_s  seconds away from a cell after which the next visit is a new pass, such as 120
CREATE OR REPLACE TEMP TABLE passes AS
WITH placed AS (
    SELECT c.cell, f.frame_id, m.metres,
           CASE WHEN getvariable('weight') = 'metres' THEN coalesce(m.metres, 0) ELSE 1 END AS weight,
           CASE WHEN f.timestamp IS NULL THEN regexp_replace(f.source_id, '^v[0-9]+-', '') ELSE '' END AS visitor,
           coalesce(epoch(f.timestamp), f.pts_s) AS seconds
    FROM frame_cells AS c
    JOIN frames AS f USING (frame_id)
    LEFT JOIN frame_metres AS m ON m.frame_id = f.frame_id
    WHERE f.usable AND f.status = 'ok' AND f.valid_pixels > 0
), entries AS (
    SELECT *, CASE WHEN row_number() OVER visit = 1 OR seconds - lag(seconds) OVER visit > getvariable('pass_gap_s')
                   THEN 1 ELSE 0 END AS enters
    FROM placed WINDOW visit AS (PARTITION BY cell, visitor ORDER BY seconds, frame_id)
), numbered AS (
    SELECT *, sum(enters) OVER (PARTITION BY cell ORDER BY visitor, seconds, frame_id) AS pass FROM entries
), shares AS (
    SELECT s.frame_id,
           sum(pixel_fraction) FILTER (i.indicator = 'green_view') AS green_view,
           sum(pixel_fraction) FILTER (i.indicator = 'sky_view') AS sky_view,
           sum(pixel_fraction) FILTER (i.indicator = 'built') AS built,
           sum(pixel_fraction) FILTER (i.indicator = 'drivable') AS drivable,
           sum(pixel_fraction) FILTER (i.indicator = 'pavement') AS pavement,
           sum(pixel_fraction) FILTER (i.indicator = 'vehicles') AS vehicles,
           sum(pixel_fraction) FILTER (i.indicator = 'people') AS people
    FROM class_stats AS s
    JOIN classes USING (class_id)
    JOIN indicators AS i USING (common_name)
    WHERE s.region = 'frame'
    GROUP BY s.frame_id
), known AS (
    SELECT bool_or(indicator = 'green_view') AS green_view,
           bool_or(indicator = 'sky_view') AS sky_view,
           bool_or(indicator = 'built') AS built,
           bool_or(indicator = 'drivable') AS drivable,
           bool_or(indicator = 'pavement') AS pavement,
           bool_or(indicator = 'vehicles') AS vehicles,
           bool_or(indicator = 'people') AS people
    FROM indicators JOIN classes USING (common_name)
)
SELECT cell, pass, count(*) AS frames, sum(metres) AS metres, sum(weight) AS weight,
       -- A frame without a class has no row: its share is 0, and it counts. What the model has no class for is null.
       sum(weight * CASE WHEN known.green_view THEN coalesce(shares.green_view, 0) END) / nullif(sum(weight), 0) AS green_view,
       sum(weight * CASE WHEN known.sky_view THEN coalesce(shares.sky_view, 0) END) / nullif(sum(weight), 0) AS sky_view,
       sum(weight * CASE WHEN known.built THEN coalesce(shares.built, 0) END) / nullif(sum(weight), 0) AS built,
       sum(weight * CASE WHEN known.drivable THEN coalesce(shares.drivable, 0) END) / nullif(sum(weight), 0) AS drivable,
       sum(weight * CASE WHEN known.pavement THEN coalesce(shares.pavement, 0) END) / nullif(sum(weight), 0) AS pavement,
       sum(weight * CASE WHEN known.vehicles THEN coalesce(shares.vehicles, 0) END) / nullif(sum(weight), 0) AS vehicles,
       sum(weight * CASE WHEN known.people THEN coalesce(shares.people, 0) END) / nullif(sum(weight), 0) AS people
FROM numbered LEFT JOIN shares USING (frame_id) CROSS JOIN known
GROUP BY cell, pass;
