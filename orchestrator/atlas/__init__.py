"""The Atlas Administration API: typed calls, digest, token buckets. Knows jobs and projects, no workflow."""
