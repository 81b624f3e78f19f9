"""What the pages say, done: every command and code block of README.md, of its like and of docs/."""
