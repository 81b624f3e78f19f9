"""What two or more functions share; the layer puts it on their path as `common`."""
