-- Each cell's exposure (frames, metres, passes) and indicators: the passes' means, weighted. Where the exposure is too small
-- for a fair mean, the indicators are null. Takes the table passes (passes.sql).
-- Variables:  min_frames  frames that a cell needs, such as 3
--             min_metres  metres that a cell needs, such as 10; 0 where frames are the weight
WITH sums AS (
    SELECT cell, CAST(sum(frames) AS BIGINT) AS frames, sum(metres) AS metres, count(*) AS passes,
           CASE WHEN sum(frames) >= getvariable('min_frames') AND coalesce(sum(metres), 0) >= getvariable('min_metres')
                THEN nullif(sum(weight), 0) END AS weight,
           sum(weight * green_view) AS green_view, sum(weight * sky_view) AS sky_view, sum(weight * built) AS built,
           sum(weight * drivable) AS drivable, sum(weight * pavement) AS pavement, sum(weight * vehicles) AS vehicles,
           sum(weight * people) AS people
    FROM passes GROUP BY cell
)
SELECT cell, frames, metres, passes, green_view / weight AS green_view, sky_view / weight AS sky_view, built / weight AS built,
       drivable / weight AS drivable, pavement / weight AS pavement, vehicles / weight AS vehicles, people / weight AS people
FROM sums ORDER BY cell;
