"""One file for each way to deploy, boot and test: when it refuses a block, and the actions that run it."""
