-- Where a site's clock is behind what it has seen, it goes on from there in steps: wide enough for what machines write to
-- come between two of them.
ALTER SEQUENCE site_clock INCREMENT BY 100;
