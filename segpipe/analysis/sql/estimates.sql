-- What the passes say of each cell and indicator: their weighted mean, how much they differ from each other (the variance
-- between passes, unbiased for weighted means), and how many passes of equal weight they are worth.
-- Takes the table passes (passes.sql). Cells with too small an exposure are left out. What the model has no class for is null.
-- Variables:  min_frames  frames that a cell needs, such as 3
--             min_metres  metres that a cell needs, such as 10; 0 where frames are the weight
WITH seen AS (
    SELECT * FROM (
        FROM passes UNPIVOT INCLUDE NULLS (
            share FOR indicator IN (green_view, sky_view, built, drivable, pavement, vehicles, people)
        )
    ) WHERE weight > 0
), means AS (
    SELECT cell, indicator, CAST(sum(frames) AS BIGINT) AS frames, sum(metres) AS metres, count(*) AS passes,
           sum(weight * share) / sum(weight) AS mean, sum(weight) AS total, sum(weight) ^ 2 / sum(weight ^ 2) AS effective_passes
    FROM seen GROUP BY cell, indicator
)
SELECT cell, indicator, any_value(m.frames) AS frames, any_value(m.metres) AS metres, any_value(passes) AS passes,
       any_value(mean) AS mean, any_value(effective_passes) AS effective_passes,
       CASE WHEN any_value(passes) > 1
            THEN sum(weight * (share - mean) ^ 2) / any_value(total) / (1 - 1 / any_value(effective_passes)) END AS variance
FROM seen JOIN means AS m USING (cell, indicator)
WHERE m.frames >= getvariable('min_frames') AND coalesce(m.metres, 0) >= getvariable('min_metres')
GROUP BY cell, indicator
ORDER BY cell, indicator;
