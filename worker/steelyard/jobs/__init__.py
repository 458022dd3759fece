"""The description of a job: its manifest, its data manifest, its membership tree."""
