"""Where inputs come from: folders, cameras, video files, local programs, standard input."""
