"""What the pages say, done: every command and code block of README.md, CONTRIBUTING.md and docs/."""
