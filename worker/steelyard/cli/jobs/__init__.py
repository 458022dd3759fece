"""Behind `steelyard job`: describing, publishing, posting, joining and showing jobs."""
