"""What SAM would deploy, stage by stage."""
