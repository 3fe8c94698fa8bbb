"""The command line `acesteps`."""
