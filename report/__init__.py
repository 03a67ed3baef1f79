"""Report: what runs, inspections and audits wrote, as one page, tables and JSON."""
