"""Code that two or more functions share. The Lambda layer makes it importable as `common`."""
