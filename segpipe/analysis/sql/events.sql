-- Intervals in which frames fulfil a condition: frames of a source that follow each other with small gaps are one event.
-- A frame of a video stands for the time to the next frame, which is the median step of its source, and for the way to the
-- next frame. A photograph (it has no frame_index) stands for nothing but its moment and its place.
-- Takes the table matches (frame_id, value): the frames that fulfil the condition, with the largest pixel_fraction.
-- Variables:  join_by      'time': gaps are seconds of the video; 'metres': gaps are metres of the track
--             max_gap      the longest gap within an event, in seconds or metres
--             min_seconds  events shorter than this are left out (0: none)
--             min_metres   events shorter than this are left out (0: none)
--             min_metres_of_photos  the same for events of photographs
WITH clock AS (
    SELECT frame_id, source_id, uri, pts_s, timestamp, latitude, longitude, odometer_m, frame_index IS NULL AS photo,
           coalesce(pts_s, epoch(timestamp)) AS second,
           lead(coalesce(pts_s, epoch(timestamp))) OVER in_order - coalesce(pts_s, epoch(timestamp)) AS step_s,
           -- In a time lapse UTC goes on by more than the film does.
           epoch_us(lead(timestamp) OVER in_order) - epoch_us(timestamp) AS step_us,
           lead(odometer_m) OVER in_order AS next_m
    FROM frames WINDOW in_order AS (PARTITION BY source_id ORDER BY coalesce(pts_s, epoch(timestamp)), frame_id)
), steps AS (
    -- Photographs have no step: they don't last.
    SELECT source_id, coalesce(median(step_s) FILTER (NOT photo), 0) AS step_s,
           CAST(round(coalesce(median(step_us) FILTER (NOT photo), 1e6 * median(step_s) FILTER (NOT photo), 0)) AS BIGINT) AS step_us
    FROM clock GROUP BY source_id
), found AS (
    SELECT c.* EXCLUDE (step_s, step_us), s.step_s, s.step_us, m.value, c.second + s.step_s AS until,
           -- A hole in the footage is no way that the frame stands for: as in frame_metres.
           CASE WHEN NOT c.photo AND c.next_m - c.odometer_m BETWEEN 0 AND 500 THEN c.next_m ELSE c.odometer_m END AS until_m
    FROM matches AS m JOIN clock AS c USING (frame_id) JOIN steps AS s USING (source_id)
    WHERE getvariable('join_by') = 'time' OR c.odometer_m IS NOT NULL
), gaps AS (
    SELECT *, CASE WHEN getvariable('join_by') = 'time' THEN second - lag(until) OVER in_order
                   ELSE odometer_m - lag(until_m) OVER in_order END AS gap
    FROM found WINDOW in_order AS (PARTITION BY source_id ORDER BY second, frame_id)
), numbered AS (
    -- The clock of a video is not exact to the microsecond, and a gap of just max_gap is allowed.
    SELECT *, count(*) FILTER (gap IS NULL OR gap > getvariable('max_gap') + 1e-6) OVER (
        PARTITION BY source_id ORDER BY second, frame_id ROWS UNBOUNDED PRECEDING
    ) AS event
    FROM gaps
), events AS (
    -- Whole rows are picked, so that an unknown position stays unknown; of equal peaks the first counts.
    SELECT source_id, any_value(uri) AS uri, max(pts_s + step_s) AS end_s,
           max(timestamp + to_microseconds(step_us)) AS end_time,
           CASE WHEN NOT bool_and(photo) THEN round(coalesce(max(until) - min(second), max(step_s)), 6) END AS seconds,
           max(until_m) - min(odometer_m) AS metres, bool_and(photo) AS photos,
           CASE WHEN bool_and(photo) THEN getvariable('min_metres_of_photos') ELSE getvariable('min_metres') END AS least_m,
           count(*) AS frames, max(value) AS peak, arg_min(seen, place) AS first, arg_max(seen, place) AS last,
           arg_max(seen, {'value': value, 'place': -place}) AS top
    FROM (
        SELECT *, {'s': pts_s, 'time': timestamp, 'latitude': latitude, 'longitude': longitude} AS seen,
               row_number() OVER (PARTITION BY source_id ORDER BY second, frame_id) AS place
        FROM numbered
    )
    GROUP BY source_id, event
)
SELECT e.source_id, coalesce(s.drive_id, e.source_id) AS drive_id, e.uri, e.first.s AS start_s, e.end_s,
       e.first.s - coalesce(s.media_start_s, 0) AS seek_s, e.top.s AS peak_s, e.first.time AS start_time,
       e.top.time AS peak_time, e.end_time, e.seconds, e.metres, e.frames, e.peak,
       e.first.latitude AS start_latitude, e.first.longitude AS start_longitude, e.top.latitude AS peak_latitude,
       e.top.longitude AS peak_longitude, e.last.latitude AS end_latitude, e.last.longitude AS end_longitude
FROM events AS e LEFT JOIN sources AS s USING (source_id)
WHERE (e.photos OR e.seconds >= getvariable('min_seconds') - 1e-6)
  AND (e.least_m <= 0 OR e.metres >= e.least_m - 1e-6)
ORDER BY drive_id, s.drive_index, source_id, e.first.s, e.first.time;
