"""Views: what a record looks like on the screen, a function a record.

A view takes a record (and the screen's width, where its look depends on that) and yields lines and tables, which
`Console.show` prints on standard output.
"""
