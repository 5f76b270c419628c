-- What a layer shows: each indicator and the common names whose shares of the whole frame it adds up. No variables.
CREATE OR REPLACE TEMP TABLE indicators AS
SELECT * FROM (VALUES
    ('green_view', 'vegetation'), ('green_view', 'terrain'), ('sky_view', 'sky'), ('built', 'building'), ('built', 'fence'),
    ('drivable', 'road'), ('pavement', 'sidewalk'), ('vehicles', 'vehicle'), ('people', 'person'), ('people', 'cyclist')
) AS names(indicator, common_name);
