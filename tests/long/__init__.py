"""What takes minutes: faults, load, and thousands of inputs. `make test-long` runs it."""
