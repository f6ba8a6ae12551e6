"""The command line: parse, call one plain function, show. The only layer that prints or exits."""
