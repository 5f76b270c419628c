-- The positions of each bin's frames in the order of the way: x is longitude, y latitude, in degrees.
-- Takes the table frame_cells (bins.sql). No variables.
SELECT c.cell, list(f.longitude ORDER BY m.drive_m, f.frame_id) AS x, list(f.latitude ORDER BY m.drive_m, f.frame_id) AS y
FROM frame_cells AS c
JOIN frames AS f USING (frame_id)
JOIN frame_metres AS m USING (frame_id)
WHERE f.latitude IS NOT NULL AND f.longitude IS NOT NULL
GROUP BY c.cell;
