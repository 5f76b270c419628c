-- Which bin of the way each frame lies in: pieces of the drive's odometer, counted from its beginning. Only usable frames
-- with an odometer_m. The bin's name is the drive and the number of the piece: piece 3 of 50 m reaches from 150 m to 200 m.
-- Variables:  bin_m  length of a bin in metres, such as  SET VARIABLE bin_m = 50
CREATE OR REPLACE TEMP TABLE frame_cells AS
SELECT frame_id, drive_id || ':' || lpad(CAST(CAST(floor(drive_m / getvariable('bin_m')) AS BIGINT) AS VARCHAR), 6, '0') AS cell
FROM frame_metres;
