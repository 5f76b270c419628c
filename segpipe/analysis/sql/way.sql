-- The way of the camera as points in order: `piece` numbers the stretches without a hole in them (a missing position, a step
-- of more than 500 m, or another source). No variables.
WITH steps AS (
    SELECT source_id, frame_id, coalesce(pts_s, epoch(timestamp)) AS second, longitude, latitude, odometer_m,
           odometer_m - lag(odometer_m) OVER (
               PARTITION BY source_id ORDER BY coalesce(pts_s, epoch(timestamp)), frame_id
           ) AS step_m
    FROM frames WHERE odometer_m IS NOT NULL AND isfinite(latitude) AND isfinite(longitude)
)
SELECT longitude, latitude,
       count(*) FILTER (step_m IS NULL OR step_m > 500) OVER (
           ORDER BY source_id, second, frame_id ROWS UNBOUNDED PRECEDING
       ) AS piece
FROM steps ORDER BY source_id, second, frame_id;
