"""The folder that is shipped: written whole, loaded only when every file is as it was."""
