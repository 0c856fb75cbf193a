"""The groups of commands, a module each; attune.cli.main imports the one that is called for."""
