"""A job's frames restored by several graphics cards or machines, joined by Ray; see docs/cluster.md."""
