"""Pages: each view authorises, reads what it shows in a few queries, and renders a template of its name."""
