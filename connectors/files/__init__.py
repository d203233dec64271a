"""Files: deliveries as files in a folder, here or on a server over SFTP."""
