"""The audit of what a user installs: advisories, licences, and a list of all parts (SBOM) beside the wheel."""
