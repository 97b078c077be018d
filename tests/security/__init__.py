"""What SECURITY.md promises, a subject a file.

| subject | files |
| --- | --- |
| 1 secrets | `test_secrets` |
| 2 what stays on this machine | `test_offline`, `test_schemas` |
| 3 terminals and logs | `test_terminals` |
| 4 bounds | `test_bounds`; every reader: `tests/test_hostile.py`, `tests/test_hostile_sources.py` |
| 5 files and ends | `test_files`, `test_writers`, `test_ends`, `test_ready`; fifty kills: the benchmark `kills` |
| 5b numbers | `test_numbers` |
| 5c downloads | `test_downloads` |
| 6 supply | `test_templates`, `test_exposure`; advisories, licences, SBOM: `tests/audit` |
"""
