"""A package, so that one server and one browser can serve all of it: their fixtures have its scope."""
