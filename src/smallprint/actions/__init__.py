"""What a business wants done with a finding: its own webhook, command or function, each finding once."""
