"""The daemons beside the database: control, log ingest, scheduler."""
