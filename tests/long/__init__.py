"""Tests that take minutes: faults, load and thousands of inputs. `make test-long` runs them."""
