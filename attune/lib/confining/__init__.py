"""Tools to run other people's programs with less: limits, an account of their own, a view of little but their pack.

Each of them is a beginning of a command line, made by a pure function; what is confined is the command behind it.
"""
