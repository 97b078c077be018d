"""What people read: each report turns a run and its verdicts into text, and knows nothing of pytest."""
